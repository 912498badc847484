#include "sim/graph_layers.h"

#include "models/operator.h"
#include "models/quantized_operands.h"
#include "models/shape_inference.h"
#include "sim/integer_sums.h"

namespace widthwise {
namespace {

Shape without_batch(const Shape& shape) {
  return shape.empty() ? shape : Shape(shape.begin() + 1, shape.end());
}

bool is_computed(const NodeView& node, size_t input) {
  return input != OperandInputs::kNone && node.has_input(input) && node.constant(input) == nullptr;
}

// As the file states it, which is at most the type's.
void state_format(const Graph& graph, const NodeView& node, size_t input, IntegerFormat& format) {
  if (input == OperandInputs::kNone || !node.has_input(input)) return;
  const auto stated = graph.formats.find(node.node().inputs[input]);
  if (stated != graph.formats.end()) format = stated->second;
}

GraphLayer graph_layer(const Graph& graph, const NodeView& node, const ValueShapes& shapes) {
  const auto operands = quantized_operands(node.node());
  const auto matmuls = static_matmuls(node);
  if (matmuls.empty() || !operands || operands->ifmaps.empty())
    node.refuse("", "has no sums that are known before it runs", "give every extent a number");
  const IntegerMatmul& first = matmuls.front();
  GraphLayer made{
      .layer = layer_of(first),
      .ifmap = {.format = first.ifmap_format, .scale = 1, .zero_point = first.ifmap_zero_point},
      .ifmap_shape = without_batch(node.shape(operands->ifmaps[0].codes)),
      .ofmap_shape = without_batch(shapes.at(node.node().outputs.at(0)))};
  made.layer.name = node.node().name;
  made.layer.operator_type = node.node().op_type;
  for (const IntegerMatmul& matmul : matmuls) made.macs += matmul.images * matmul.workload.macs();
  state_format(graph, node, operands->ifmaps[0].codes, made.ifmap.format);
  if (operands->weight) {
    state_format(graph, node, operands->weight->codes, made.layer.weight_format);
    made.constant_weights = !is_computed(node, operands->weight->codes) &&
                            !is_computed(node, operands->weight->zero_point);
  }
  if (is_computed(node, operands->ifmaps[0].zero_point))
    made.ifmap = {.format = {made.ifmap.format.bits + 1, true}, .scale = 1, .zero_point = 0};
  return made;
}

}  // namespace

std::vector<GraphLayer> graph_layers(const Graph& graph) {
  const ValueShapes shapes = infer_shapes(graph);
  std::vector<GraphLayer> layers;
  for (const GraphNode& node : graph.nodes) {
    const NodeView view(graph, node, shapes);
    if (checked_operator(view).mac != nullptr) layers.push_back(graph_layer(graph, view, shapes));
  }
  return layers;
}

}  // namespace widthwise
