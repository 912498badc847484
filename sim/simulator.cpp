#include "sim/simulator.h"

namespace widthwise {

Simulator::Simulator(const QuantizedNetwork& network, const Datapath& datapath,
                     const RunOptions& options)
    : network_(network) {
  for (const QuantizedLayer& layer : network.layers)
    runners_.push_back(make_layer_runner(network, layer, datapath, options));
}

Simulator::Simulator(QuantizedNetwork&& network, const Datapath& datapath,
                     const RunOptions& options)
    : own_(std::make_unique<QuantizedNetwork>(std::move(network))), network_(*own_) {
  for (QuantizedLayer& layer : own_->layers) {
    runners_.push_back(make_layer_runner(network_, layer, datapath, options));
    drop_weights(layer, *runners_.back());
  }
}

Simulator::State Simulator::make_state() const {
  State state;
  state.tensors.resize(network_.tensors.size());
  for (const auto& runner : runners_) state.records.push_back(runner->empty_record());
  return state;
}

void Simulator::run(std::span<const int32_t> input, int64_t images, State& state) const {
  const auto at = [](int index) { return static_cast<size_t>(index); };
  state.tensors[at(network_.input)].assign_planes(input);
  for (size_t i = 0; i < runners_.size(); ++i) {
    const QuantizedLayer& layer = network_.layers[i];
    std::vector<const CodeTensor*> ifmaps;
    for (const int ifmap : layer.ifmaps) ifmaps.push_back(&state.tensors[at(ifmap)]);
    runners_[i]->run(ifmaps, state.tensors[at(layer.ofmap)], images, state.workspace,
                     state.records[i]);
  }
}

}  // namespace widthwise
