#pragma once
#include <map>
#include <string>

#include "models/graph.h"

namespace widthwise {

// The name of the PyTorch module that a node was exported from, by node name; it is what statistics
// and patterns speak of. "/layer1/layer1.0/conv1/Conv" is layer1.0.conv1: the scope, where the node
// is the only one in it. A node among others in a scope keeps its own name behind it:
// "/layer1/layer1.0/Relu_1" is layer1.0.Relu_1. Names that do not begin with '/' stay as they are.
// Each name is given once.
std::map<std::string, std::string> module_names(const Graph& graph);

}  // namespace widthwise
