#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "models/movement.h"

namespace widthwise {
namespace {

struct Box {
  int64_t start = 0;
  Shape extents;
  std::vector<int64_t> strides;  // in elements of the input
};

struct Parameters {
  std::vector<int64_t> starts, ends, axes, steps;
};

Parameters parameters(const NodeView& node) {
  Parameters p;
  const bool inputs = node.opset() >= 10;  // attributes before
  if (inputs ? node.input_count() < 3 : !node.has("starts") || !node.has("ends"))
    node.refuse("starts, ends", "are missing", "state them");
  if (inputs && !node.node().attributes.empty())
    node.refuse("attributes", "are given, from opset 10 they are inputs", "export again");
  p.starts = inputs ? node.integer_constant(1, "starts") : node.integers("starts", {});
  p.ends = inputs ? node.integer_constant(2, "ends") : node.integers("ends", {});
  p.axes = identity_source(static_cast<int64_t>(p.starts.size()));
  if (!inputs) {
    p.axes = node.integers("axes", p.axes);
  } else if (node.has_input(3)) {
    p.axes = node.integer_constant(3, "axes");
  }
  p.steps.assign(p.starts.size(), 1);
  if (node.has_input(4)) p.steps = node.integer_constant(4, "steps");
  const size_t count = p.starts.size();
  if (p.ends.size() != count || p.axes.size() != count || p.steps.size() != count)
    node.refuse("starts, ends, axes, steps", "differ in length", "give one entry per axis");
  return p;
}

Box box(const NodeView& node) {
  const Parameters p = parameters(node);
  Box b{.start = 0, .extents = node.shape(0), .strides = row_major_strides(node.shape(0))};
  std::set<size_t> seen;
  for (size_t i = 0; i < p.starts.size(); ++i) {
    const size_t axis = node.axis("axes", p.axes[i], b.extents.size());
    if (!seen.insert(axis).second) node.refuse("axes", "name an axis twice", "name it once");
    const int64_t extent = b.extents[axis], step = p.steps[i];
    if (step == 0 || step < -kMaxTensorElements || step > kMaxTensorElements)
      node.refuse(
          "steps",
          fmt::format("holds {}, allowed are other integers up to +-{}", step, kMaxTensorElements),
          "correct it");
    // Negative positions count from the end; then they are clamped as ONNX states.
    const auto position = [&](int64_t value, int64_t low, int64_t high) {
      if (value < 0) value = value < -extent ? -1 : value + extent;
      return std::clamp(value, low, std::max(low, high));  // an empty axis has high = -1
    };
    const int64_t start = position(p.starts[i], 0, step > 0 ? extent : extent - 1);
    const int64_t end =
        step > 0 ? position(p.ends[i], 0, extent) : position(p.ends[i], -1, extent - 1);
    const int64_t span = step > 0 ? end - start : start - end;
    const int64_t distance = step > 0 ? step : -step;
    const int64_t kept = extent > 0 && span > 0 ? (span + distance - 1) / distance : 0;
    const bool to_end = p.ends[i] >= std::numeric_limits<int32_t>::max();
    const bool whole = p.starts[i] == 0 && step == 1 &&
                       (to_end || (node.batch() > 0 && p.ends[i] >= node.batch()));
    if (axis == 0 && !whole) node.require_not_batch("axes", axis);
    if (axis == 0 && node.one_image()) continue;  // all images
    b.start += kept > 0 ? start * b.strides[axis] : 0;
    b.extents[axis] = kept;
    b.strides[axis] *= step;
  }
  return b;
}

std::vector<Shape> infer_shape(const NodeView& node) { return {box(node).extents}; }

Sources sources(const NodeView& node) {
  const Box b = box(node);
  return {strided_source(b.start, b.extents, b.strides)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, sources(node));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return move_tensors(node, 1, sources(node), infer_shape(node));
}

}  // namespace

// Slice: starts, ends, axes (all by default) and steps, attributes before opset 10, then constant
// inputs; negative positions count from the end. The batch is not sliced.
// Source: ONNX operator, opsets 1, 10, 11, 13.
extern const Operator kSlice;
const Operator kSlice{"Slice", {"axes", "ends", "starts"}, 1, 5, infer_shape, evaluate, lower};

}  // namespace widthwise
