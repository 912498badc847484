#include <fmt/format.h>

#include <algorithm>

#include "models/evaluation.h"
#include "models/movement.h"

namespace widthwise {
namespace {

void check_extents(const NodeView& node, const char* what, const std::vector<int64_t>& extents) {
  for (const int64_t extent : extents) {
    if (extent < 0 || extent > kMaxTensorElements)
      node.refuse(what, fmt::format("holds {}, allowed 0..{}", extent, kMaxTensorElements),
                  "correct it");
  }
}

std::vector<Shape> infer_expanded(const NodeView& node) {
  Shape wanted = node.integer_constant(1, "shape");
  check_extents(node, "shape", wanted);
  const bool whole_batch = node.one_image() && node.batch() > 1 &&
                           wanted.size() == node.shape(0).size() && wanted[0] == node.batch();
  if (whole_batch) wanted[0] = 1;
  return {broadcast_shape(node, node.shape(0), wanted)};
}

Sources expanded(const NodeView& node) {
  return {broadcast_source(node.shape(0), infer_expanded(node)[0])};
}

std::vector<Shape> infer_tiled(const NodeView& node) {
  const auto repeats = node.integer_constant(1, "repeats");
  check_extents(node, "repeats", repeats);
  Shape shape = node.shape(0);
  if (repeats.size() != shape.size())
    node.refuse("repeats", fmt::format("has {} entries, needed {}", repeats.size(), shape.size()),
                "give one per axis");
  for (size_t i = 0; i < shape.size(); ++i) {
    if (repeats[i] != 1) node.require_not_batch("repeats", i);
    shape[i] *= repeats[i];
  }
  return {shape};
}

Sources tiled(const NodeView& node) {
  const Shape &from = node.shape(0), to = infer_tiled(node)[0];
  const auto strides = row_major_strides(from);
  if (std::find(to.begin(), to.end(), 0) != to.end()) return {{}};
  std::vector<int64_t> source = {0};
  for (size_t axis = 0; axis < to.size(); ++axis) {
    std::vector<int64_t> finer;
    for (const int64_t base : source) {
      for (int64_t i = 0; i < to[axis]; ++i) finer.push_back(base + i % from[axis] * strides[axis]);
    }
    source = std::move(finer);
  }
  return {source};
}

template <Sources (*kSources)(const NodeView&)>
void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, kSources(node));
}

template <Sources (*kSources)(const NodeView&), std::vector<Shape> (*kShapes)(const NodeView&)>
std::vector<Tensor> evaluate(const NodeView& node) {
  return move_tensors(node, 1, kSources(node), kShapes(node));
}

}  // namespace

// Expand: the input broadcast with a constant shape. Tile: the input repeated along every axis.
// Source: ONNX operators, Expand opsets 8, 13; Tile 6, 13.
extern const Operator kExpand, kTile;
const Operator kExpand{"Expand",       {}, 2, 2, infer_expanded, evaluate<expanded, infer_expanded>,
                       lower<expanded>};
const Operator kTile{"Tile", {}, 2, 2, infer_tiled, evaluate<tiled, infer_tiled>, lower<tiled>};

}  // namespace widthwise
