#include <fmt/format.h>

#include "models/movement.h"

namespace widthwise {
namespace {

size_t checked_axis(const NodeView& node) {
  if (!node.has("axis")) node.refuse("axis", "is missing", "state the axis");
  const Shape& first = node.shape(0);
  const size_t axis = node.axis("axis", node.integer("axis", 0), first.size());
  node.require_not_batch("axis", axis);
  for (size_t i = 0; i < node.input_count(); ++i) {
    Shape other = node.activation(i, "operand");
    if (other.size() == first.size()) other[axis] = first[axis];
    if (other != first) {
      node.refuse("shapes",
                  fmt::format("{} and {} differ beyond axis {}", shape_text(first),
                              shape_text(node.shape(i)), axis),
                  "export the network again");
    }
  }
  return axis;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const size_t axis = checked_axis(node);
  Shape ofmap = node.shape(0);
  for (size_t i = 1; i < node.input_count(); ++i) ofmap[axis] += node.shape(i)[axis];
  return {ofmap};
}

Sources sources(const NodeView& node) {
  const size_t axis = checked_axis(node);
  const Shape& first = node.shape(0);
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= first[i];
  for (size_t i = axis + 1; i < first.size(); ++i) inner *= first[i];
  std::vector<int64_t> source;
  for (int64_t o = 0; o < outer; ++o) {
    int64_t base = 0;  // of the input, in all inputs laid end to end
    for (size_t i = 0; i < node.input_count(); ++i) {
      const int64_t run = node.shape(i)[axis] * inner;
      for (int64_t e = 0; e < run; ++e) source.push_back(base + o * run + e);
      base += outer * run;
    }
  }
  return {source};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, node.input_count(), sources(node));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return move_tensors(node, node.input_count(), sources(node), infer_shape(node));
}

}  // namespace

// Concat: inputs of shapes that are equal but for `axis`, laid end to end along it.
// Source: ONNX operator, opsets 4, 11, 13.
extern const Operator kConcat;
const Operator kConcat{"Concat", {"axis"}, 1, 0, infer_shape, evaluate, lower};

}  // namespace widthwise
