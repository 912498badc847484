#pragma once
#include <filesystem>

#include "models/graph.h"
#include "models/network.h"

namespace widthwise {

// A network as it was read: the folded graph, which an ONNX writer can walk, and its layers.
struct Model {
  Graph graph;
  FloatNetwork network;
};

// load_graph, fold, lower. Throws InputError for everything that is not supported.
Model load_network(const std::filesystem::path& path);

}  // namespace widthwise
