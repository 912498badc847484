#pragma once
#include "models/graph.h"

namespace widthwise {

// Sorts graph.nodes so that every value is written before it is read, keeping the file's order
// where it can. Throws InputError for a value that is written twice, read but never written, or on
// a cycle, and for an output that no node writes.
void sort_nodes(Graph& graph);

}  // namespace widthwise
