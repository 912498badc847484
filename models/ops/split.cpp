#include <fmt/format.h>

#include <numeric>

#include "models/movement.h"

namespace widthwise {
namespace {

size_t split_axis(const NodeView& node) {
  const size_t axis = node.axis("axis", node.integer("axis", 0), node.shape(0).size());
  node.require_not_batch("axis", axis);
  return axis;
}

// Extents of the outputs along the axis.
std::vector<int64_t> parts(const NodeView& node) {
  const int64_t extent = node.shape(0)[split_axis(node)];
  const auto count = static_cast<int64_t>(node.node().outputs.size());
  if (node.integer("num_outputs", count) != count)
    node.refuse("num_outputs", fmt::format("differs from the {} outputs", count), "correct it");
  std::vector<int64_t> extents;
  if (node.opset() >= 13 && node.has_input(1)) {
    extents = node.integer_constant(1, "split");
  } else if (node.opset() < 13 && node.has("split")) {
    extents = node.integers("split", {});
  } else {  // equal parts; from opset 18 the last one may be smaller
    const int64_t part = (extent + count - 1) / count;
    extents.assign(static_cast<size_t>(count), part);
    extents.back() = extent - part * (count - 1);
    if (extents.back() != part && node.opset() < 18) extents.clear();
  }
  bool fits = extents.size() == static_cast<size_t>(count);
  int64_t left = extent;
  for (const int64_t part : extents) {
    fits = fits && part >= 0 && part <= left;
    left -= fits ? part : 0;
  }
  if (!fits || left != 0) {
    node.refuse("split",
                fmt::format("{} does not cut an extent of {} into {} parts", shape_text(extents),
                            extent, count),
                "give one extent per output that sum to the axis' extent");
  }
  return extents;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  std::vector<Shape> shapes;
  for (const int64_t part : parts(node)) {
    shapes.push_back(node.shape(0));
    shapes.back()[split_axis(node)] = part;
  }
  return shapes;
}

Sources sources(const NodeView& node) {
  const std::vector<int64_t> strides = row_major_strides(node.shape(0));
  const std::vector<Shape> shapes = infer_shape(node);
  const size_t axis = split_axis(node);
  Sources all;
  int64_t start = 0;
  for (const Shape& shape : shapes) {
    all.push_back(strided_source(start, shape, strides));
    start += shape[axis] * strides[axis];
  }
  return all;
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, sources(node));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return move_tensors(node, 1, sources(node), infer_shape(node));
}

}  // namespace

// Split: cuts input 0 along `axis`; parts from the attribute (before opset 13) or a constant input,
// equal if not given. Source: ONNX operator, opsets 2, 11, 13, 18.
extern const Operator kSplit;
const Operator kSplit{"Split", {"axis", "num_outputs", "split"}, 1, 2, infer_shape, evaluate,
                      lower};

}  // namespace widthwise
