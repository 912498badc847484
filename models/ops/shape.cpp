#include "models/ops/shape.h"

#include <algorithm>

#include "models/operator.h"

namespace widthwise {

Tensor shape_value(const NodeView& node) {
  const Shape& shape = node.shape(0);
  const auto rank = static_cast<int64_t>(shape.size());
  const auto position = [&](const char* name, int64_t otherwise) {
    const int64_t value = node.integer(name, otherwise);
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  const int64_t start = position("start", 0), end = position("end", rank);
  if (start >= end) return Tensor::list({});
  return Tensor::list({shape.begin() + start, shape.begin() + end});
}

namespace {

std::vector<Shape> infer_shape(const NodeView& node) { return {shape_value(node).shape()}; }

std::vector<Tensor> evaluate(const NodeView& node) { return {shape_value(node)}; }

}  // namespace

// Shape: the extents of the input as int64. For one image of a float network it is a constant.
// Source: ONNX operator, opsets 1, 13, 15.
extern const Operator kShape;
const Operator kShape{"Shape", {"end", "start"}, 1, 1, infer_shape, evaluate};

}  // namespace widthwise
