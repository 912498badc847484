#pragma once
#include "models/graph.h"

namespace widthwise {

// Moves every BatchNormalization that alone reads a Conv into it, in Distiller's order of float32
// operations, for results equal to its own; fold() does it in double. All else stays.
//   r = 1 / sqrt(var + epsilon)   weight * (gamma * r)   beta - (gamma * (mean - bias)) * r
Graph fold_batch_norm_in_float32(Graph graph);

}  // namespace widthwise
