#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/layer_runner.h"

namespace widthwise {

// Executes a quantized network on a described datapath, bit by bit. One simulator may be used by
// many threads at once, each with a State of its own.
class Simulator {
 public:
  // The network must outlive it. Throws InputError, naming the layer, before any work is done.
  Simulator(const QuantizedNetwork& network, const Datapath& datapath,
            const RunOptions& options = {});
  // The same with a network of its own, of which layers lose their weights as they are packed.
  Simulator(QuantizedNetwork&& network, const Datapath& datapath, const RunOptions& options = {});

  struct State {
    std::vector<CodeTensor> tensors;   // [images, elements] of every tensor
    std::vector<LayerRecord> records;  // one per layer
    Workspace workspace;
  };
  State make_state() const;
  // input: codes [images, elements] of the network's input. All tensors are in `state` afterwards.
  void run(std::span<const int32_t> input, int64_t images, State& state) const;

  const QuantizedNetwork& network() const { return network_; }

 private:
  std::unique_ptr<QuantizedNetwork> own_;  // or null
  const QuantizedNetwork& network_;
  std::vector<std::unique_ptr<LayerRunner>> runners_;
};

}  // namespace widthwise
