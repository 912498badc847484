#pragma once
#include <vector>

#include "models/graph.h"
#include "quant/quantized_network.h"

namespace widthwise {

// A multiply-accumulate node of a graph in integer form (see models/fuse.h), described as a layer.
struct GraphLayer {
  QuantizedLayer layer;  // name, operator, workload, formats, weights, biases; no scales
  TensorQuantization
      ifmap;  // format and zero point; of a computed zero point: one bit more, signed
  Shape ifmap_shape, ofmap_shape;  // without the batch
  int64_t macs = 0;                // of one input
  bool constant_weights = true;    // else they are computed and the layer has none
};

// In the order of the nodes. Throws InputError that names a node whose shape is not known before it
// runs.
std::vector<GraphLayer> graph_layers(const Graph& graph);

}  // namespace widthwise
