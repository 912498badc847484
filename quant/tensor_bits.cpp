#include "quant/tensor_bits.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "quant/float_parts.h"

namespace widthwise {
namespace {

// Sums, and tensors that are joined: every input is rescaled to the output's codes.
bool joins(const FloatLayer& layer) {
  const auto* elementwise = std::get_if<ElementwiseWorkload>(&layer.workload);
  return layer.inputs.size() > 1 &&
         (elementwise != nullptr || std::holds_alternative<MoveWorkload>(layer.workload));
}

class Chooser {
 public:
  Chooser(const FloatNetwork& network, const QuantizationConfig& config)
      : network_(network),
        config_(config),
        ends_(end_layers(network)),
        bits_(network.tensors.size(), 0) {}

  TensorBits run() {
    bits(network_.output) = config_.output_bits;
    // What readers want travels back through layers that only move codes.
    std::vector<int> in_float(bits_.size(), 0);  // what layers in float read, if nobody else does
    for (auto layer = network_.layers.rbegin(); layer != network_.layers.rend(); ++layer) {
      for (const int input : layer->inputs) {
        want(input, wanted(*layer), *layer);
        int& read = in_float[static_cast<size_t>(input)];
        if (keeps_quantization(*layer))
          read = std::max(read, in_float[static_cast<size_t>(layer->output)]);
        else if (config_.float_activations.contains(layer->name))
          read = std::max(read, stated(*layer).value_or(8));
      }
    }
    for (size_t t = 0; t < bits_.size(); ++t) {
      if (bits_[t] == 0) bits_[t] = in_float[t] == 0 ? config_.ifmap.bits : in_float[t];
    }
    TensorBits found;
    for (const FloatLayer& layer : network_.layers) {
      const int given = bits(layer.inputs[0]);
      if (keeps_quantization(layer)) bits(layer.output) = given;
      const int own = has_weights(layer) ? wanted(layer) : 0;
      found.of_ifmap.push_back(own == 0 ? given : std::min(own, given));
      found.of_weight.push_back(weight_bits(layer));
    }
    found.of_tensor = bits_;
    return found;
  }

 private:
  int& bits(int index) { return bits_[static_cast<size_t>(index)]; }

  std::optional<int> stated(const FloatLayer& layer) const {
    const auto found = config_.layers.find(layer.name);
    return found == config_.layers.end() ? std::nullopt : found->second.ifmap;
  }

  int wanted(const FloatLayer& layer) {  // 0: anything
    if (keeps_quantization(layer)) return bits(layer.output);
    if (config_.float_activations.contains(layer.name)) return 0;
    if (joins(layer)) return config_.elementwise_bits.value_or(0);
    if (!std::holds_alternative<MatmulWorkload>(layer.workload)) return 0;
    if (const auto own = stated(layer)) return *own;
    if (!has_weights(layer)) return config_.elementwise_bits.value_or(config_.ifmap.bits);
    const bool end = config_.first_last_bits && ends_.contains(layer.name);
    return end ? *config_.first_last_bits : config_.ifmap.bits;
  }

  int weight_bits(const FloatLayer& layer) const {
    const auto found = config_.layers.find(layer.name);
    if (found != config_.layers.end() && found->second.weight) return *found->second.weight;
    const bool end = config_.first_last_bits && ends_.contains(layer.name);
    return end ? *config_.first_last_bits : config_.weight.bits;
  }

  void want(int tensor, int wanted_bits, const FloatLayer& reader) {
    int& known = bits(tensor);
    if (wanted_bits == 0 || tensor == network_.output) return;
    if (known != 0 && known != wanted_bits && !config_.elementwise_bits) {
      throw InputError({.file = "",
                        .where = "tensor '" + network_.tensor(tensor).name + "'",
                        .field = "bits",
                        .problem = fmt::format("are {} for one reader and {} for layer '{}'", known,
                                               wanted_bits, reader.name),
                        .fix = "give all layers that read this tensor the same ifmap bits, or set "
                               "the bits of element-wise layers, so that codes are rescaled"});
    }
    known = std::max(known, wanted_bits);
  }

  const FloatNetwork& network_;
  const QuantizationConfig& config_;
  const std::set<std::string> ends_;
  std::vector<int> bits_;  // of every tensor
};

}  // namespace

bool keeps_quantization(const FloatLayer& layer) {
  return moves_one_tensor(layer) || std::holds_alternative<MaxPoolWorkload>(layer.workload);
}

TensorBits tensor_bits(const FloatNetwork& network, const QuantizationConfig& config) {
  return Chooser(network, config).run();
}

}  // namespace widthwise
