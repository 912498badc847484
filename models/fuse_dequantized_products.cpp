#include <fmt/format.h>

#include "models/fuse_passes.h"
#include "models/graph_editor.h"
#include "models/quantized_product.h"

namespace widthwise {
namespace {

bool is_product(const GraphNode& node) {
  return node.domain == kOnnxDomain &&
         (node.op_type == "Conv" || node.op_type == "MatMul" || node.op_type == "Gemm");
}

// A constant real bias of a Conv or Gemm, in a shape that adds to its result.
std::optional<Tensor> real_bias(const GraphEditor& editor, const GraphNode& node) {
  if (node.inputs.size() < 3) return std::nullopt;
  const Tensor* bias = editor.constant(node.inputs[2]);
  if (bias == nullptr || bias->type() != ElementType::kFloat) return std::nullopt;
  if (node.op_type == "Gemm") return *bias;
  const auto weight = editor.dequantized(node.inputs[1]);
  const Tensor* codes = weight ? editor.constant(weight->codes) : nullptr;
  if (codes == nullptr || codes->rank() < 3 || bias->rank() != 1) return std::nullopt;
  Shape shape(codes->rank() - 1, 1);
  shape[0] = bias->elements();
  return bias->reshaped(shape);
}

}  // namespace

void fuse_dequantized_products(Graph& graph) {
  GraphEditor editor(graph);
  std::vector<GraphNode> nodes = std::move(graph.nodes);
  for (GraphNode& node : nodes) {
    if (!is_product(node)) {
      editor.keep(std::move(node));
      continue;
    }
    GraphNode without_bias = node;
    const auto bias = real_bias(editor, node);
    if (bias) without_bias.inputs.resize(2);
    auto fused = quantized_product(editor, without_bias, {});
    if (!fused) {
      editor.keep(std::move(node));
      continue;
    }
    fused->name = node.name;
    fused->outputs = node.outputs;
    if (bias) {
      GraphNode add;
      add.name = node.name + "_bias";
      add.op_type = "Add";
      fused->outputs = {editor.new_value(node.outputs[0] + "_product")};
      add.inputs = {fused->outputs[0], editor.add_constant(node.name + "_bias_value", *bias)};
      add.outputs = node.outputs;
      editor.keep(std::move(*fused));
      editor.keep(std::move(add));
    } else {
      editor.keep(std::move(*fused));
    }
  }
  editor.finish();
}

}  // namespace widthwise
