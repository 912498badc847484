#pragma once
#include <string>
#include <vector>

#include "models/graph.h"
#include "models/network.h"
#include "quant/linear_quantization.h"

namespace widthwise {

// A float network as statistics and settings speak of it: every ReLU a layer of its own, layers by
// the names of their modules.
struct ModuleNetwork {
  FloatNetwork network;              // lowered with Clamps::kLayers
  std::vector<std::string> modules;  // of its layers
};

// fold(); but for Compat::kNone, batch normalization by float32 operations in Distiller's order.
Graph fold_for(Graph graph, Compat compat);

// Lowers a folded graph. Throws InputError for graphs that have no layers.
ModuleNetwork module_network(const Graph& folded);

}  // namespace widthwise
