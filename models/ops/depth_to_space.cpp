#include <fmt/format.h>

#include "models/movement.h"

namespace widthwise {
namespace {

bool to_space(const NodeView& node) { return node.node().op_type == "DepthToSpace"; }

// The side of a block.
int64_t block(const NodeView& node) {
  const Shape& from = node.shape(0);
  const int64_t side = node.integer("blocksize", 0);
  if (from.size() != 4)
    node.refuse("input", fmt::format("has the shape {}, needed [N, C, H, W]", shape_text(from)),
                "reshape it");
  const bool small = side >= 1 && side <= (int64_t{1} << 14);
  if (!small || (to_space(node) ? from[1] % (side * side) != 0
                                : from[2] % side != 0 || from[3] % side != 0)) {
    node.refuse("blocksize",
                fmt::format("is {} for {}, needed is one that {}", side, shape_text(from),
                            to_space(node) ? "divides the channels by its square"
                                           : "divides both spatial extents"),
                "correct it");
  }
  return side;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const int64_t side = block(node);
  const Shape& from = node.shape(0);
  if (to_space(node)) return {{from[0], from[1] / (side * side), from[2] * side, from[3] * side}};
  return {{from[0], from[1] * side * side, from[2] / side, from[3] / side}};
}

Sources sources(const NodeView& node) {
  const int64_t side = block(node);
  const Shape& from = node.shape(0);
  const std::vector<int64_t> stride = row_major_strides(from);
  if (!to_space(node)) {  // [n, row in block, col in block, c, row, col]
    return {strided_source(0, {from[0], side, side, from[1], from[2] / side, from[3] / side},
                           {stride[0], stride[2], 1, stride[1], side * stride[2], side})};
  }
  const std::string mode = node.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    node.refuse("mode", fmt::format("is {}, allowed DCR, CRD", mode), "correct it");
  const int64_t depth = from[1] / (side * side);
  const bool depth_first = mode == "DCR";  // channel = (row, col, c), else (c, row, col)
  const int64_t row = stride[1] * (depth_first ? side * depth : side),
                col = stride[1] * (depth_first ? depth : 1),
                channel = stride[1] * (depth_first ? 1 : side * side);
  return {strided_source(0, {from[0], depth, from[2], side, from[3], side},
                         {stride[0], channel, stride[2], row, 1, col})};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, sources(node));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return move_tensors(node, 1, sources(node), infer_shape(node));
}

}  // namespace

// DepthToSpace: channels become blocks of pixels; SpaceToDepth: the reverse of its mode DCR.
// Source: ONNX operators, opsets 1, 11, 13.
extern const Operator kDepthToSpace, kSpaceToDepth;
const Operator kDepthToSpace{"DepthToSpace", {"blocksize", "mode"}, 1, 1, infer_shape, evaluate,
                             lower};
const Operator kSpaceToDepth{"SpaceToDepth", {"blocksize"}, 1, 1, infer_shape, evaluate, lower};

}  // namespace widthwise
