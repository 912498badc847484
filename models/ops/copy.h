#pragma once
#include "models/node_view.h"

namespace widthwise {

// Whether the node only hands its first input on (Identity, Dropout, Pad by nothing), so that it
// can be removed. Refuses a Dropout in training and a Pad that pads. Needs no shapes.
bool is_copy(const NodeView& node);

}  // namespace widthwise
