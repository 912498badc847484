#pragma once
#include "models/graph.h"
#include "quant/quantized_network.h"

namespace widthwise {

// The layers of a quantized graph in integer form (see models/fuse.h), for everything that works
// on layers: census, cost, Verilog. One float input that is quantized at once, or one input of
// codes; every value between is codes; the output is codes, dequantized at the end or not. Names
// and arithmetic are the graph's. Throws InputError that names the node for graphs that are not of
// this kind: they run (sim/graph_runner.h), but have no layers.
QuantizedNetwork import_quantized(const Graph& fused);

// True for graphs with at least one node that a datapath runs: it multiplies and accumulates
// integers, or rescales codes.
bool is_quantized(const Graph& fused);

}  // namespace widthwise
