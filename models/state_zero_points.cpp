#include <optional>

#include "models/fuse_passes.h"
#include "models/movement.h"
#include "models/onnx_tensor.h"

namespace widthwise {
namespace {

using Types = std::map<std::string, ElementType>;

bool is_standard(const GraphNode& node, const char* op) {
  return node.op_type == op && node.domain != kQonnxDomain;
}

bool keeps_type(const GraphNode& node) {
  return moves_elements(node) || is_max_pool(node) ||
         (node.domain == kOnnxDomain && (node.op_type == "Clip" || node.op_type == "Pad"));
}

std::optional<ElementType> type_of(const Types& types, const GraphNode& node, size_t input) {
  if (input >= node.inputs.size()) return std::nullopt;
  const auto found = types.find(node.inputs[input]);
  return found == types.end() ? std::nullopt : std::optional(found->second);
}

// Of the codes of a QuantizeLinear or DequantizeLinear.
std::optional<ElementType> code_type(const Types& types, const GraphNode& node) {
  if (is_standard(node, "DequantizeLinear")) return type_of(types, node, 0);
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) return type_of(types, node, 2);
  const int64_t stated = attribute_of<int64_t>(node, "output_dtype", 0);
  return stated == 0 ? ElementType::kUint8 : element_type_of(stated);
}

}  // namespace

void state_zero_points(Graph& graph) {
  Types types;
  for (const GraphValue& input : graph.inputs) types[input.name] = input.type;
  for (const auto& [name, tensor] : graph.initializers) types[name] = tensor.type();
  UnusedNames names(graph);
  for (GraphNode& node : graph.nodes) {
    const bool quantize = is_standard(node, "QuantizeLinear");
    if (quantize || is_standard(node, "DequantizeLinear")) {
      const auto type = code_type(types, node);
      const auto format = type ? integer_format(*type) : std::nullopt;
      if (!format || format->bits > 32 || *type == ElementType::kBool) continue;  // refused later
      if (quantize && !node.outputs.empty()) types[node.outputs[0]] = *type;
      const bool stated = node.inputs.size() > 2 && !node.inputs[2].empty();
      if (stated || node.inputs.size() < 2) continue;
      const auto scale = graph.initializers.find(node.inputs[1]);
      if (scale == graph.initializers.end()) continue;
      const std::string zero_point = names.take(node.name + "_zero_point");
      graph.initializers[zero_point] = Tensor(*type, scale->second.shape());
      node.inputs.resize(3);
      node.inputs[2] = zero_point;
    } else if (const auto type = type_of(types, node, 0); type && keeps_type(node)) {
      for (const std::string& output : node.outputs) types[output] = *type;
    }
  }
}

}  // namespace widthwise
