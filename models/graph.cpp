#include "models/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/error.h"

namespace widthwise {

bool Graph::is_input(const std::string& value) const {
  return std::any_of(inputs.begin(), inputs.end(),
                     [&](const GraphValue& input) { return input.name == value; });
}

std::set<std::string> names_of(const std::vector<GraphValue>& values) {
  std::set<std::string> names;
  for (const GraphValue& value : values) names.insert(value.name);
  return names;
}

std::map<std::string, int> reader_counts(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const GraphNode& node : graph.nodes) {
    for (const std::string& value : node.inputs) ++counts[value];
  }
  for (const GraphValue& output : graph.outputs) ++counts[output.name];
  return counts;
}

UnusedNames::UnusedNames(const Graph& graph) : used_(names_of(graph.inputs)) {
  for (const auto& [name, tensor] : graph.initializers) used_.insert(name);
  for (const GraphNode& node : graph.nodes) used_.insert(node.outputs.begin(), node.outputs.end());
}

std::string UnusedNames::take(const std::string& wanted) {
  std::string name = wanted;
  int& next = next_[wanted];
  while (!used_.insert(name).second) name = fmt::format("{}_{}", wanted, ++next);
  return name;
}

void require_image_network(const Graph& graph) {
  const auto refuse = [&](std::string where, std::string field, std::string problem,
                          std::string fix) {
    throw InputError({.file = graph.file,
                      .where = std::move(where),
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  };
  if (graph.inputs.size() != 1)
    refuse("graph", "input", fmt::format("count is {}, allowed 1", graph.inputs.size()),
           "keep one input; make the others initializers");
  if (graph.outputs.size() != 1)
    refuse("graph", "output", fmt::format("count is {}, allowed 1", graph.outputs.size()),
           "keep the output that is to be evaluated (onnx.utils.extract_model)");
  for (const auto* value : {&graph.inputs[0], &graph.outputs[0]}) {
    if (value->type == ElementType::kFloat) continue;
    refuse(fmt::format("{} '{}'", value == &graph.inputs[0] ? "input" : "output", value->name),
           "type",
           fmt::format("has element type {}, allowed float", element_type_name(value->type)),
           "export the network with a float32 input and output");
  }
  const std::string where = fmt::format("input '{}'", graph.inputs[0].name);
  const Shape& shape = graph.inputs[0].shape;
  if (shape.size() < 2)
    refuse(where, "shape",
           fmt::format("{} has {} axes, at least 2 are needed: batch and features",
                       shape_text(shape), shape.size()),
           "export the network with a batch axis and fixed other extents");
  const Shape image(shape.begin() + 1, shape.end());
  if (std::find(image.begin(), image.end(), GraphValue::kSymbolic) != image.end())
    refuse(where, "shape", fmt::format("{} is open beyond the batch axis", shape_text(shape)),
           "export the network with a fixed image size; only the batch may stay open");
  if (shape_elements(image) < 0)
    refuse(where, "shape",
           fmt::format("{} has more than {} elements per image", shape_text(shape),
                       kMaxTensorElements),
           "the file is damaged: export the network again");
}

}  // namespace widthwise
