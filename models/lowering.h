#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/network.h"
#include "models/node_view.h"

namespace widthwise {

// Lowers a folded graph (see fold.h) to layers. A Relu or Clip that is the only reader of a matmul
// or of an element-wise layer becomes that layer's range; any other one (after pooling or data
// movement, or where the value before it is read, too) becomes an element-wise kClamp layer; with
// kLayers every one does.
enum class Clamps { kFused, kLayers };
FloatNetwork lower(const Graph& folded, Clamps clamps = Clamps::kFused);

// Multiply-accumulates of one image, padded taps included; additions of unit weights are none.
int64_t network_macs(const FloatNetwork& network);
// Weights and biases of all layers, without the unit weights of average pooling.
int64_t network_parameters(const FloatNetwork& network);

// Collects layers; what the operators' lower() functions write to.
class LayerBuilder {
 public:
  LayerBuilder(const Graph& graph, const ValueShapes& shapes, Clamps clamps);

  // Adds a layer that reads `inputs` (values of the node) and writes output `output` of the node;
  // nothing if nobody reads that output. `layer` brings the workload, weights, bias and range.
  void add(const NodeView& node, FloatLayer layer, const std::vector<std::string>& inputs,
           size_t output = 0);
  // The same for a layer that reads the node's first input only.
  void add(const NodeView& node, FloatLayer layer);
  // To be called before a list of so many indices or made-up weights is allocated; refuses what is
  // too much for one network.
  void reserve(const NodeView& node, double elements);
  // Limits input 0 of the node to [low, high]: within the layer that writes it, or in a new one.
  void clamp(const NodeView& node, float low, float high);

  FloatNetwork finish();

 private:
  int tensor(const std::string& value);
  std::string unique_name(const std::string& node);

  const Graph& graph_;
  const ValueShapes& shapes_;
  const Clamps clamps_;
  std::map<std::string, int> readers_;
  std::map<std::string, int> index_;      // value -> tensor
  std::map<std::string, size_t> writer_;  // value -> layer
  std::set<std::string> names_, named_;   // of nodes and layers; of nodes that have a layer
  FloatNetwork network_;
  double reserved_ = 0;
};

}  // namespace widthwise
