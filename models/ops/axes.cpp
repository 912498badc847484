#include "models/ops/axes.h"

#include <fmt/format.h>

namespace widthwise {

std::optional<std::vector<int64_t>> stated_axes(const NodeView& node, int input_since) {
  if (node.opset() >= input_since) {
    if (node.has("axes"))
      node.refuse("axes", fmt::format("is an attribute, in opset {} it is an input", node.opset()),
                  "export the network again");
    if (!node.has_input(1)) return std::nullopt;
    return node.integer_constant(1, "axes");
  }
  if (node.input_count() > 1)
    node.refuse("inputs",
                fmt::format("count is above 1, axes are an attribute before opset {}", input_since),
                "export the network again");
  if (!node.has("axes")) return std::nullopt;
  return node.integers("axes", {});
}

AxisSplit split_at(const Shape& shape, size_t axis) {
  AxisSplit split;
  for (size_t i = 0; i < axis; ++i) split.outer *= shape[i];
  split.extent = shape[axis];
  for (size_t i = axis + 1; i < shape.size(); ++i) split.inner *= shape[i];
  return split;
}

}  // namespace widthwise
