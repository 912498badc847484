#include <fmt/format.h>

#include "models/evaluation.h"
#include "models/lowering.h"
#include "models/operator.h"
#include "models/ops/per_channel.h"

namespace widthwise {
namespace {

// As a layer: whether an operand is a constant, which must be one value per channel then.
std::optional<ConstantOperand> constant_addend(const NodeView& node) {
  if (const auto operand = constant_operand(node)) return operand;
  for (const size_t i : {size_t{0}, size_t{1}}) {
    if (node.constant(i) == nullptr) continue;
    const Tensor& tensor = node.float_constant(i, "addend");
    node.refuse("addend",
                fmt::format("of shape {} does not add one value per channel to {}",
                            shape_text(tensor.shape()), shape_text(node.shape(1 - i))),
                "allowed constants are scalars and [C, 1, 1]; use the bias of a layer");
  }
  return std::nullopt;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  if (!node.one_image()) return {broadcast_shape(node, node.shape(0), node.shape(1))};
  if (const auto addend = constant_addend(node)) return {node.shape(addend->activation)};
  if (node.activation(0, "addend") != node.activation(1, "addend")) {
    node.refuse("shapes",
                fmt::format("{} and {} differ; broadcasting of activations is not supported",
                            shape_text(node.shape(0)), shape_text(node.shape(1))),
                "bring both to one shape");
  }
  return {node.shape(0)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  if (const auto addend = constant_addend(node))
    return lower_affine(node, builder, addend->activation, addend->affine);
  FloatLayer layer;
  layer.workload =
      ElementwiseWorkload{ElementwiseWorkload::Kind::kAdd, shape_elements(node.shape(0))};
  builder.add(node, std::move(layer), node.node().inputs);
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return {broadcast(node, [](auto a, auto b) { return plus(a, b); })};
}

}  // namespace

// Add with broadcasting. As a layer: two activations of one shape; or an activation and a constant
// per channel, which fold() moves into a bias or which becomes a depthwise 1x1 matmul with weights
// of 1 and a bias. Source: ONNX operator, opsets 7, 13, 14.
extern const Operator kAdd;
const Operator kAdd{"Add", {}, 2, 2, infer_shape, evaluate, lower};

}  // namespace widthwise
