#pragma once
#include <filesystem>
#include <optional>

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

// Of a graph as it was read.
Model network_of(const Graph& graph);

// The layers of a graph, or nothing for one that runs but has none (see lowering.h).
std::optional<FloatNetwork> layers_if_any(const Graph& graph);

}  // namespace widthwise
