#pragma once
#include <map>
#include <string>
#include <vector>

#include "models/graph.h"
#include "models/network.h"

namespace widthwise {

using Values = std::vector<double>;  // a tensor of one image in row-major order

// Runs one image through the layers, one scalar operation after the other, in double. Returns every
// tensor of the network in row-major order. What FloatExecutor is tested against.
std::vector<Values> run_float_reference(const FloatNetwork& network, const Values& image);

// Runs one image through an unfolded graph by the operators' own definitions, in double. Returns
// every value. What fold() and lower() are tested against.
std::map<std::string, Values> run_graph_reference(Graph graph, const Values& image);

}  // namespace widthwise
