#pragma once
#include "models/graph.h"

namespace widthwise {

// The graph that is lowered, quantized and written: constants evaluated, copies and unused nodes
// removed, means over all spatial axes written as GlobalAveragePool (and Flatten), and
// BatchNormalization and Add, Sub, Mul, Div of a constant per channel moved into weight and bias of
// the Conv, Gemm or MatMul before them where nobody else reads the value in between (a MatMul with
// a bias becomes a Gemm). Folded in double, rounded once to float. The layer keeps its name and
// writes the value that the folded node wrote. Checks every node; throws InputError.
Graph fold(Graph graph);

}  // namespace widthwise
