#include <fmt/format.h>

#include "models/movement.h"
#include "models/ops/axes.h"

namespace widthwise {
namespace {

// Which axes of `rank` are named, each once.
std::vector<bool> named(const NodeView& node, const std::vector<int64_t>& axes, size_t rank) {
  std::vector<bool> marks(rank, false);
  for (const int64_t value : axes) {
    const size_t axis = node.axis("axes", value, rank);
    node.require_not_batch("axes", axis);
    if (marks[axis]) node.refuse("axes", "name an axis twice", "name it once");
    marks[axis] = true;
  }
  return marks;
}

Shape squeeze(const NodeView& node) {
  const Shape& from = node.shape(0);
  const auto axes = stated_axes(node, 13);
  if (!axes && node.one_image())
    node.refuse("axes", "are missing, which removes the batch if it is 1", "state the axes");
  std::vector<bool> gone;
  if (axes) gone = named(node, *axes, from.size());
  Shape to;
  for (size_t i = 0; i < from.size(); ++i) {
    if (axes && gone[i] && from[i] != 1)
      node.refuse("axes",
                  fmt::format("name axis {} of {}, allowed are extents of 1", i, shape_text(from)),
                  "name other axes");
    if (axes ? !gone[i] : from[i] != 1) to.push_back(from[i]);
  }
  return to;
}

Shape unsqueeze(const NodeView& node) {
  const Shape& from = node.shape(0);
  const auto axes = stated_axes(node, 13);
  if (!axes) node.refuse("axes", "are missing", "state them");
  const std::vector<bool> added = named(node, *axes, from.size() + axes->size());
  Shape to;
  auto extent = from.begin();
  for (const bool one : added) to.push_back(one ? 1 : *extent++);
  return to;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  return {node.node().op_type == "Squeeze" ? squeeze(node) : unsqueeze(node)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, {identity_source(shape_elements(node.shape(0)))});
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return {node.tensor(0, "data").reshaped(infer_shape(node)[0])};
}

}  // namespace

// Squeeze removes axes of extent 1 (all by default), Unsqueeze adds them; the axes are an attribute
// before opset 13, then a constant input. Source: ONNX operators, opsets 1, 11, 13, 21.
extern const Operator kSqueeze, kUnsqueeze;
const Operator kSqueeze{"Squeeze", {"axes"}, 1, 2, infer_shape, evaluate, lower};
const Operator kUnsqueeze{"Unsqueeze", {"axes"}, 1, 2, infer_shape, evaluate, lower};

}  // namespace widthwise
