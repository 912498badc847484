#include "quant/settings_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quant/tensor_bits.h"

namespace widthwise {
namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& field,
                         const std::string& problem, const std::string& fix) {
  throw InputError({.file = "", .where = where, .field = field, .problem = problem, .fix = fix});
}

// The moments are not known behind the limits.
TensorStatistics limited(const TensorStatistics& input, const FloatLayer& clamp) {
  TensorStatistics output{
      .min = input.min, .max = input.max, .avg_min = input.avg_min, .avg_max = input.avg_max};
  limit_range(static_cast<double>(clamp.low), static_cast<double>(clamp.high), output);
  return output;
}

class Converter {
 public:
  Converter(const PtqOptions& options, const ResolvedSettings& settings,
            const ModuleNetwork& modules, const FloatNetwork& fused)
      : options_(options), settings_(settings), network_(modules.network), fused_(fused) {
    for (size_t i = 0; i < network_.layers.size(); ++i)
      writers_[network_.tensor(network_.layers[i].output).name] = i;
  }

  QuantizationConfig run() {
    check();
    QuantizationConfig config;
    config.activations = symmetry_of(options_.mode_activations);
    config.weights = symmetry_of(options_.mode_weights);
    config.ifmap = {options_.bits_activations.value_or(8),
                    options_.mode_activations != QuantizationMode::kAsymmetricUnsigned};
    config.weight = {options_.bits_weights.value_or(8),
                     options_.mode_weights != QuantizationMode::kAsymmetricUnsigned};
    config.unsigned_activations = is_symmetric(options_.mode_activations);
    config.per_channel = options_.per_channel;
    config.activation_range = range_of({.clipping = options_.clip_acts,
                                        .n_stds = options_.clip_n_stds,
                                        .percentile = options_.percentile});
    for (const FloatLayer& layer : fused_.layers) {
      const ModuleSettings& s = settings_of(layer);
      if (!keeps_quantization(layer) && !s.bits_activations)
        config.float_activations.insert(layer.name);
      if (has_weights(layer) && !s.bits_weights) config.float_weights.insert(layer.name);
      if (has_weights(layer))
        config.layers[layer.name] = {.ifmap = bits_of(fused_.tensor(layer.inputs[0]).name),
                                     .weight = s.bits_weights};
      add_range(fused_.tensor(layer.output).name, config);
    }
    add_range(fused_.tensor(fused_.input).name, config);
    config.output_bits = output_bits(config.output_bits);
    return config;
  }

 private:
  static ActivationRange range_of(const ClippingChoice& choice) {
    ActivationRange range;
    range.clipping = choice.clipping;
    if (choice.n_stds > 0) range.n_stds = choice.n_stds;
    range.percentile = choice.percentile;
    return range;
  }

  const ResolvedModule& module(size_t i) const { return settings_.modules[i]; }

  void check() const {
    if (options_.dynamic)
      refuse("", "--qe-dynamic", "is given, but a written network has fixed ranges",
             "leave it out, or run it at once: widthwise evaluate --quantize-eval --qe-dynamic");
    if (options_.bits_accum != 32 || options_.scale_approx_bits)
      refuse("", options_.scale_approx_bits ? "--qe-scale-approx-bits" : "--qe-bits-accum",
             "is given, but a network file states neither accumulators nor requantizers",
             "describe them in an accelerator, and evaluate on it");
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      const ModuleSettings& s = module(i).settings;
      const std::string where = "layer '" + module(i).module.name + "'";
      const bool weights = has_weights(network_.layers[i]);
      if (moves_one_tensor(network_.layers[i]) || module(i).joins) continue;
      if (!s.bits_activations && !(weights && s.bits_weights)) continue;
      if (s.mode_activations != options_.mode_activations ||
          (weights && s.mode_weights != options_.mode_weights))
        refuse(where, "mode", "is another one than the network's", "state one mode for all layers");
      if (weights && s.per_channel != options_.per_channel)
        refuse(where, "per_channel_wts", "is another one than the network's",
               "state it for all layers");
      if (!s.inputs.empty())
        refuse(where, "input_overrides", "are given; a written network has none",
               "state the bits of the layer that writes the input");
      if (s.approximate_bits)
        refuse(where, "scale_approx_mult_bits", "is given; a network file states no requantizer",
               "describe it in an accelerator, and evaluate on it");
      if (s.clip.half_range)
        refuse(where, "clip_half_range", "is given; written networks take it from the range",
               "leave it out: what is never negative has half a range");
      if (!s.quantize_inputs || !s.input_fallback)
        refuse(where, s.quantize_inputs ? "inputs_quant_auto_fallback" : "quantize_inputs",
               "is False; in a written network every input of a layer has codes",
               "leave it out, or leave the layer in float");
    }
  }

  // The layer whose settings are those of a tensor, or nothing: the network's input.
  std::optional<size_t> owner(const std::string& tensor) const {
    const auto found = writers_.find(tensor);
    if (found == writers_.end()) return std::nullopt;
    const FloatLayer& layer = network_.layers[found->second];
    if (keeps_quantization(layer)) return owner(network_.tensor(layer.inputs[0]).name);
    if (!is_clamp(layer)) return found->second;
    // A ReLU of a product or a sum, and nothing else reads it.
    const auto before = writers_.find(network_.tensor(layer.inputs[0]).name);
    if (before == writers_.end() || !module(before->second).settings.bits_activations)
      return found->second;
    const FloatLayer& writer = network_.layers[before->second];
    const bool fused = std::none_of(
        fused_.tensors.begin(), fused_.tensors.end(),
        [&](const FloatTensor& t) { return t.name == network_.tensor(writer.output).name; });
    return fused ? before->second : found->second;
  }

  int bits_of(const std::string& tensor) const {
    const auto at = quantizer(tensor);
    return at ? *module(*at).settings.bits_activations : options_.bits_activations.value_or(8);
  }

  // The layer whose settings quantize a tensor: its owner, or, of the network's input and of what
  // is written in float, the first quantized reader.
  std::optional<size_t> quantizer(const std::string& tensor) const {
    const auto at = owner(tensor);
    if (at && module(*at).settings.bits_activations) return at;
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      const auto reads = [&](int input) { return network_.tensor(input).name == tensor; };
      const FloatLayer& layer = network_.layers[i];
      if (std::none_of(layer.inputs.begin(), layer.inputs.end(), reads)) continue;
      if (moves_one_tensor(layer)) return quantizer(network_.tensor(layer.output).name);
      if (module(i).settings.bits_activations) return i;
    }
    return std::nullopt;
  }

  // Those of the network's output are the given ones, or more, unless an override states them.
  int output_bits(int least) const {
    const std::string& tensor = fused_.tensor(fused_.output).name;
    const auto at = quantizer(tensor);
    const int bits = bits_of(tensor);
    return at && module(*at).stated.bits_activations ? bits : std::max(least, bits);
  }

  const ModuleSettings& settings_of(const FloatLayer& layer) const {
    const auto found =
        std::find_if(network_.layers.begin(), network_.layers.end(),
                     [&](const FloatLayer& other) { return other.name == layer.name; });
    return module(static_cast<size_t>(found - network_.layers.begin())).settings;
  }

  void add_range(const std::string& tensor, QuantizationConfig& config) const {
    const auto at = quantizer(tensor);
    if (!at) return;
    const ActivationRange range = range_of(module(*at).settings.clip);
    const ActivationRange& all = config.activation_range;
    if (range.clipping != all.clipping || range.n_stds != all.n_stds ||
        range.percentile != all.percentile)
      config.tensor_ranges[tensor] = range;
  }

  const PtqOptions& options_;
  const ResolvedSettings& settings_;
  const FloatNetwork& network_;
  const FloatNetwork& fused_;
  std::map<std::string, size_t> writers_;  // layers, by the tensor that they write
};

}  // namespace

Statistics tensor_statistics(const ModuleNetwork& modules, const NetworkStatistics& statistics) {
  const FloatNetwork& network = modules.network;
  Statistics result;
  const auto name = [&](int tensor) { return network.tensor(tensor).name; };
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const FloatLayer& layer = network.layers[i];
    const auto found = statistics.find(modules.modules[i]);
    if (found != statistics.end()) {
      for (const auto& [k, record] : found->second.inputs) {
        if (k >= 0 && k < std::ssize(layer.inputs))
          result.emplace(name(layer.inputs[static_cast<size_t>(k)]), record);
      }
      if (found->second.output) {
        result[name(layer.output)] = *found->second.output;
        continue;
      }
    }
    const auto input = result.find(name(layer.inputs[0]));
    const bool moves = std::holds_alternative<MoveWorkload>(layer.workload);
    if (input == result.end() || layer.inputs.size() != 1 || !(moves || is_clamp(layer))) continue;
    result[name(layer.output)] =
        is_clamp(layer) ? limited(input->second, layer) : TensorStatistics(input->second);
  }
  return result;
}

QuantizationConfig settings_config(const PtqOptions& options, const ResolvedSettings& settings,
                                   const ModuleNetwork& modules, const FloatNetwork& fused) {
  return Converter(options, settings, modules, fused).run();
}

}  // namespace widthwise
