#include "models/ops/copy.h"

#include <fmt/format.h>

#include "models/movement.h"

namespace widthwise {
namespace {

void check_dropout(const NodeView& node) {
  if (!node.has_input(2)) return;
  const GraphTensor* training = node.constant(2);
  if (training == nullptr || training->integers != std::vector<int64_t>{0}) {
    node.refuse("training_mode", "must be a constant false",
                "export the network in evaluation mode (model.eval())");
  }
}

void check_pad(const NodeView& node) {
  const auto pads =
      node.opset() >= 11 ? node.integer_constant(1, "pads") : node.integers("pads", {});
  for (const int64_t pad : pads) {
    if (pad != 0)
      node.refuse("pads", fmt::format("are {}, allowed are zeros only", shape_text(pads)),
                  "use the pads of the Conv or pooling after it");
  }
}

std::vector<Shape> infer_shape(const NodeView& node) {
  is_copy(node);
  return {node.shape(0)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, {identity_source(shape_elements(node.shape(0)))});
}

std::vector<Values> reference(const NodeView&, const std::vector<Values>& inputs) {
  return {inputs[0]};
}

}  // namespace

bool is_copy(const NodeView& node) {
  const std::string& type = node.node().op_type;
  if (type == "Dropout") check_dropout(node);
  if (type == "Pad") check_pad(node);
  return type == "Identity" || type == "Dropout" || type == "Pad";
}

// Identity; Dropout in inference; Pad by zeros, as exporters write it before an average pool: the
// value itself. Source: ONNX operators, Identity opsets 1, 13; Dropout 7, 10, 12, 13; Pad 2,
// 11, 13.
extern const Operator kIdentity, kDropout, kPad;
const Operator kIdentity{"Identity", {}, 1, 1, infer_shape, lower, reference};
const Operator kDropout{"Dropout", {"ratio", "seed"}, 1, 3, infer_shape, lower, reference};
const Operator kPad{"Pad", {"mode", "pads", "value"}, 1, 4, infer_shape, lower, reference};

}  // namespace widthwise
