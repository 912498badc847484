#pragma once
#include "models/node_view.h"

namespace widthwise {

// Checks every node and infers the shapes of all values that depend on the input, for a batch
// of 1. Throws InputError that names the node for whatever is not supported.
ValueShapes infer_shapes(const Graph& graph);

}  // namespace widthwise
