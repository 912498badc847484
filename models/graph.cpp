#include "models/graph.h"

#include <fmt/format.h>

#include <set>

namespace widthwise {

const char* element_type_name(ElementType type) {
  constexpr const char* kNames[] = {"float", "uint8", "int8",  "uint16",
                                    "int16", "int32", "int64", "bool"};
  return kNames[static_cast<size_t>(type)];
}

int64_t shape_elements(const Shape& shape) {
  int64_t product = 1;
  for (const int64_t extent : shape) {
    if (extent < 0 || extent > kMaxTensorElements) return -1;
    product *= extent;  // both below 2^29
    if (product > kMaxTensorElements) return -1;
  }
  return product;
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const int64_t extent : shape) {
    text += text.empty() ? "" : ", ";
    text += extent == GraphValue::kSymbolic ? "N" : std::to_string(extent);
  }
  return "[" + text + "]";
}

std::map<std::string, int> reader_counts(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const GraphNode& node : graph.nodes) {
    for (const std::string& value : node.inputs) ++counts[value];
  }
  ++counts[graph.output.name];
  return counts;
}

std::string unused_value_name(const Graph& graph, const std::string& wanted) {
  std::set<std::string> used = {graph.input.name};
  for (const auto& [name, tensor] : graph.initializers) used.insert(name);
  for (const GraphNode& node : graph.nodes) used.insert(node.outputs.begin(), node.outputs.end());
  std::string name = wanted;
  for (int i = 1; used.contains(name); ++i) name = fmt::format("{}_{}", wanted, i);
  return name;
}

}  // namespace widthwise
