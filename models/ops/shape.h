#pragma once
#include "models/node_view.h"

namespace widthwise {

// What a Shape node gives for the shape of its input: its extents from `start` to `end`.
Tensor shape_value(const NodeView& node);

}  // namespace widthwise
