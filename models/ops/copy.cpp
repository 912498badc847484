#include "models/ops/copy.h"

#include <fmt/format.h>

#include "models/movement.h"
#include "models/ops/pad.h"

namespace widthwise {
namespace {

void check_dropout(const NodeView& node) {
  if (!node.has_input(2)) return;
  const Tensor* training = node.constant(2);
  if (training == nullptr || training->elements() != 1 || training->type() != ElementType::kBool ||
      training->integer(0) != 0) {
    node.refuse("training_mode", "must be a constant false",
                "export the network in evaluation mode (model.eval())");
  }
}

std::vector<Shape> infer_shape(const NodeView& node) {
  is_copy(node);
  std::vector<Shape> shapes = {node.shape(0)};
  if (node.node().op_type == "Dropout" && !node.one_image()) shapes.push_back(node.shape(0));
  return shapes;
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, {identity_source(shape_elements(node.shape(0)))});
}

std::vector<Tensor> evaluate(const NodeView& node) {
  is_copy(node);
  const Tensor& input = node.tensor(0, "input");
  if (node.node().op_type != "Dropout" || node.node().outputs.size() < 2) return {input};
  // The mask: everything is kept.
  const ElementType type = node.opset() < 10 ? input.type() : ElementType::kBool;
  Tensor mask = node.output(type, input.shape());
  visit_type(type, [&](auto stored) {
    using T = decltype(stored);
    for (T& value : mask.write<T>()) value = T{1};
  });
  return {input, mask};
}

}  // namespace

bool is_copy(const NodeView& node) {
  const std::string& type = node.node().op_type;
  if (type == "Dropout") check_dropout(node);
  return type == "Identity" || type == "Dropout" || pads_nothing(node);
}

// Identity; Dropout in inference: the value itself, with a mask of ones. Source: ONNX operators,
// Identity opsets 1, 13; Dropout 7, 10, 12, 13.
extern const Operator kIdentity, kDropout;
const Operator kIdentity{"Identity", {}, 1, 1, infer_shape, evaluate, lower};
const Operator kDropout{"Dropout", {"ratio", "seed"}, 1, 3, infer_shape, evaluate, lower};

}  // namespace widthwise
