#pragma once
#include <optional>
#include <vector>

#include "models/node_view.h"

namespace widthwise {

// The node's axes: an attribute before opset `input_since`, then constant input 1; nothing if they
// are not given. Refuses the form of the other opsets.
std::optional<std::vector<int64_t>> stated_axes(const NodeView& node, int input_since);

// A row-major tensor around one axis: element (o, a, i) is at (o * extent + a) * inner + i.
struct AxisSplit {
  int64_t outer = 1, extent = 1, inner = 1;
};
AxisSplit split_at(const Shape& shape, size_t axis);

}  // namespace widthwise
