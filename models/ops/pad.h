#pragma once
#include "models/node_view.h"

namespace widthwise {

// A Pad by zeros everywhere, as exporters write it before an average pool: the value itself.
bool pads_nothing(const NodeView& node);

}  // namespace widthwise
