#include "models/ops/copy.h"

#include <fmt/format.h>

#include "models/movement.h"
#include "models/ops/pad.h"

namespace widthwise {
namespace {

void check_dropout(const NodeView& node) {
  if (!node.has_input(2)) return;
  const Tensor* training = node.constant(2);
  if (training == nullptr || training->elements() != 1 || training->integer(0) != 0) {
    node.refuse("training_mode", "must be a constant false",
                "export the network in evaluation mode (model.eval())");
  }
}

std::vector<Shape> infer_shape(const NodeView& node) {
  is_copy(node);
  return {node.shape(0)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, {identity_source(shape_elements(node.shape(0)))});
}

std::vector<Tensor> evaluate(const NodeView& node) {
  is_copy(node);
  return {node.tensor(0, "input")};
}

}  // namespace

bool is_copy(const NodeView& node) {
  const std::string& type = node.node().op_type;
  if (type == "Dropout") check_dropout(node);
  return type == "Identity" || type == "Dropout" || pads_nothing(node);
}

// Identity; Dropout in inference: the value itself. Source: ONNX operators, Identity opsets 1, 13;
// Dropout 7, 10, 12, 13.
extern const Operator kIdentity, kDropout;
const Operator kIdentity{"Identity", {}, 1, 1, infer_shape, evaluate, lower};
const Operator kDropout{"Dropout", {"ratio", "seed"}, 1, 3, infer_shape, evaluate, lower};

}  // namespace widthwise
