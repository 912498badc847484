#include <fmt/format.h>

#include <algorithm>

#include "models/movement.h"

namespace widthwise {
namespace {

std::vector<int64_t> permutation(const NodeView& node) {
  const auto rank = static_cast<int64_t>(node.shape(0).size());
  std::vector<int64_t> reversed = identity_source(rank);
  std::reverse(reversed.begin(), reversed.end());
  const std::vector<int64_t> perm = node.integers("perm", reversed);
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != identity_source(rank))
    node.refuse("perm", fmt::format("{} is no permutation of 0..{}", shape_text(perm), rank - 1),
                "name every axis once");
  if (node.one_image() && perm[0] != 0)
    node.refuse("perm",
                fmt::format("{} moves the batch; allowed are permutations that begin "
                            "with 0",
                            shape_text(perm)),
                "keep the batch as the first axis");
  return perm;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  Shape ofmap;
  for (const int64_t axis : permutation(node)) {
    ofmap.push_back(node.shape(0)[static_cast<size_t>(axis)]);
  }
  return {ofmap};
}

Sources sources(const NodeView& node) {
  const std::vector<int64_t> strides = row_major_strides(node.shape(0));
  std::vector<int64_t> permuted;
  for (const int64_t axis : permutation(node)) {
    permuted.push_back(strides[static_cast<size_t>(axis)]);
  }
  return {strided_source(0, infer_shape(node)[0], permuted)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, sources(node));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return move_tensors(node, 1, sources(node), infer_shape(node));
}

}  // namespace

// Transpose: axis i of the ofmap is axis perm[i] of the ifmap; the batch stays first.
// Source: ONNX operator, opsets 1, 13.
extern const Operator kTranspose;
const Operator kTranspose{"Transpose", {"perm"}, 1, 1, infer_shape, evaluate, lower};

}  // namespace widthwise
