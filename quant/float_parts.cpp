#include "quant/float_parts.h"

#include <algorithm>

#include "core/error.h"
#include "quant/tensor_bits.h"

namespace widthwise {
namespace {

template <class Allowed>
void check_names(const FloatNetwork& network, const std::set<std::string>& names,
                 const std::string& field, const Allowed& allowed) {
  std::vector<std::string> known;
  for (const FloatLayer& layer : network.layers) {
    if (allowed(layer)) known.push_back(layer.name);
  }
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw InputError(
        {.file = "",
         .where = "network '" + network.name + "'",
         .field = field,
         .problem = "'" + name + "' is none of its layers that compute: " + list_names(known),
         .fix = "correct the name"});
  }
}

}  // namespace

FloatParts float_parts(const FloatNetwork& network, const QuantizationConfig& config) {
  check_names(network, config.float_activations, "float activations",
              [](const FloatLayer& layer) { return !keeps_quantization(layer); });
  check_names(network, config.float_weights, "float weights",
              [](const FloatLayer& layer) { return has_weights(layer); });
  const auto at = [](int index) { return static_cast<size_t>(index); };
  const auto is_real = [&](const FloatLayer& layer) {
    return config.float_activations.contains(layer.name);
  };
  // Which tensors something wants as codes, from the last reader on. The network's output is codes
  // unless a layer in float computes it.
  std::vector<bool> wanted(network.tensors.size());
  wanted[at(network.output)] = true;
  int origin = network.output;
  for (auto layer = network.layers.rbegin(); layer != network.layers.rend(); ++layer) {
    if (layer->output != origin) continue;
    if (keeps_quantization(*layer)) origin = layer->inputs[0];
    if (is_real(*layer)) wanted[at(network.output)] = false;
  }
  for (auto layer = network.layers.rbegin(); layer != network.layers.rend(); ++layer) {
    const bool wants = keeps_quantization(*layer) ? wanted[at(layer->output)] : !is_real(*layer);
    for (const int input : layer->inputs) {
      if (wants) wanted[at(input)] = true;
    }
  }
  FloatParts parts;
  parts.tensors.resize(network.tensors.size());
  parts.tensors[at(network.input)] = !wanted[at(network.input)];
  for (const FloatLayer& layer : network.layers) {
    const bool moves = keeps_quantization(layer);
    const bool real = moves ? parts.tensors[at(layer.inputs[0])] : is_real(layer);
    parts.layers.push_back(real || config.float_weights.contains(layer.name));
    parts.tensors[at(layer.output)] = real && (moves || !wanted[at(layer.output)]);
  }
  return parts;
}

std::set<std::string> end_layers(const FloatNetwork& network) {
  std::set<std::string> names;
  const auto has = [](const FloatLayer& layer) { return has_weights(layer); };
  const auto first = std::find_if(network.layers.begin(), network.layers.end(), has);
  const auto last = std::find_if(network.layers.rbegin(), network.layers.rend(), has);
  if (first != network.layers.end()) names = {first->name, last->name};
  return names;
}

}  // namespace widthwise
