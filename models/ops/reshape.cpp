#include <fmt/format.h>

#include "models/movement.h"

namespace widthwise {
namespace {

// 0 copies the input's extent, -1 (once) is what is left. A first extent equal to a fixed batch
// means the batch.
Shape reshape(const NodeView& node) {
  const Shape& from = node.shape(0);
  Shape to = node.integer_constant(1, "shape");
  if (node.one_image() && !to.empty() && node.batch() > 1 && to[0] == node.batch()) to[0] = 1;
  const int64_t elements = shape_elements(from);
  const auto refuse_shape = [&](const std::string& why) {
    node.refuse("shape",
                fmt::format("{} {} for an ifmap of {}",
                            shape_text(node.integer_constant(1, "shape")), why, shape_text(from)),
                "export with fixed shapes; only the batch may be -1 or 0");
  };
  int64_t open = -1;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 0 && node.integer("allowzero", 0) == 0) {
      if (i >= from.size()) refuse_shape("holds a 0");
      to[i] = from[i];
    } else if (to[i] == -1) {
      if (open >= 0) refuse_shape("holds -1 twice");
      open = static_cast<int64_t>(i);
      to[i] = 1;
    }
  }
  const int64_t known = shape_elements(to);
  if (known < 0 || (open < 0 ? known != elements : known == 0 || elements % known != 0))
    refuse_shape(fmt::format("does not hold {} elements", elements));
  if (open >= 0) to[static_cast<size_t>(open)] = elements / known;
  return to;
}

Shape flatten(const NodeView& node) {
  const Shape& from = node.shape(0);
  const auto rank = static_cast<int64_t>(from.size());
  int64_t axis = node.integer("axis", 1);
  if (axis < -rank || axis > rank)
    node.refuse("axis", fmt::format("is {}, allowed {}..{}", axis, -rank, rank), "use axis 1");
  if (axis < 0) axis += rank;
  Shape to = {1, 1};
  for (int64_t i = 0; i < rank; ++i) to[i < axis ? 0 : 1] *= from[static_cast<size_t>(i)];
  if (node.one_image() && axis == 0)
    node.refuse("axis", "is 0, which merges the batch with the features", "use axis 1");
  return to;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  if (node.node().op_type == "Reshape") return {reshape(node)};
  return {flatten(node)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, {identity_source(shape_elements(node.shape(0)))});
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return {node.tensor(0, "data").reshaped(infer_shape(node)[0])};
}

}  // namespace

// Reshape (constant shape), Flatten: the elements in their order under another shape.
// Source: ONNX operators, Reshape opsets 5, 13, 14; Flatten 1, 9, 11, 13.
extern const Operator kReshape, kFlatten;
const Operator kReshape{"Reshape", {"allowzero"}, 2, 2, infer_shape, evaluate, lower};
const Operator kFlatten{"Flatten", {"axis"}, 1, 1, infer_shape, evaluate, lower};

}  // namespace widthwise
