#pragma once
#include "models/graph.h"

namespace widthwise {

// Turns Constant nodes, and nodes that read constants only, into initializers, and removes copies
// (see ops/copy.h) by renaming. Throws InputError for what is not supported and for a constant
// output.
void fold_constants(Graph& graph);

// Removes nodes that the output does not depend on and initializers that nobody reads.
void remove_unused(Graph& graph);

}  // namespace widthwise
