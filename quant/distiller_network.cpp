#include "quant/distiller_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/error.h"

namespace widthwise {
namespace {

using Kind = DistillerLayer::Kind;

class Builder {
 public:
  Builder(DistillerNetwork& result, const std::vector<std::string>& modules,
          const std::vector<ModuleSettings>& settings, const NetworkStatistics* statistics)
      : result_(result),
        network_(result.network),
        modules_(modules),
        settings_(settings),
        readers_(readers_of(network_)) {
    if (statistics != nullptr) result_.statistics = *statistics;
    result_.dynamic = statistics == nullptr;
  }

  void run() {
    if (!old()) {
      for (size_t i = 0; i < network_.layers.size(); ++i) limit_statistics(i);
    }
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      result_.layers.emplace_back();
      describe(i);
    }
    if (!old()) {
      for (size_t i = 0; i < network_.layers.size(); ++i) fuse(i);
    }
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      if (!result_.dynamic) make_static(i);
      make_weights(i);
    }
  }

 private:
  bool old() const { return result_.compat == Compat::kDistiller03; }
  const std::vector<size_t>& readers(int tensor) const {
    return readers_[static_cast<size_t>(tensor)];
  }

  // The one layer that reads a layer's output, or null.
  const FloatLayer* only_reader(size_t i) const {
    const auto& all = readers(network_.layers[i].output);
    return all.size() == 1 && all[0] < network_.layers.size() ? &network_.layers[all[0]] : nullptr;
  }

  [[noreturn]] void refuse(size_t i, const std::string& field, const std::string& problem,
                           const std::string& fix) const {
    throw InputError({.file = "",
                      .where = "layer '" + modules_[i] + "'",
                      .field = field,
                      .problem = problem,
                      .fix = fix});
  }

  // A range before a ReLU is that behind it; mean, std and b stay those before it.
  void limit_statistics(size_t i) {
    const FloatLayer* reader = only_reader(i);
    const auto found = result_.statistics.find(modules_[i]);
    if (reader == nullptr || !is_clamp(*reader) || found == result_.statistics.end() ||
        !found->second.output) {
      return;
    }
    TensorStatistics& s = *found->second.output;
    const auto low = static_cast<double>(reader->low), high = static_cast<double>(reader->high);
    limit_range(low, high, s);
    if (s.histogram) limit(low, high, *s.histogram);
  }

  // What is outside is counted in the bins at the limits.
  static void limit(double low, double high, Histogram& h) {
    const double width = (h.high - h.low) / static_cast<double>(h.counts.size());
    if (!(width > 0)) return;
    const double last = static_cast<double>(h.counts.size() - 1);
    const auto bin_of = [&](double value) {
      return static_cast<int64_t>(std::clamp((value - h.low) / width, 0.0, last));
    };
    const int64_t first_bin = bin_of(low), last_bin = bin_of(high);
    std::vector<int64_t> counts(static_cast<size_t>(last_bin - first_bin + 1));
    for (int64_t bin = 0; bin < std::ssize(h.counts); ++bin)
      counts[static_cast<size_t>(std::clamp(bin, first_bin, last_bin) - first_bin)] +=
          h.counts[static_cast<size_t>(bin)];
    h = {h.low + static_cast<double>(first_bin) * width,
         h.low + static_cast<double>(last_bin + 1) * width, std::move(counts)};
  }

  void describe(size_t i) {
    const FloatLayer& layer = network_.layers[i];
    const ModuleSettings& s = settings_[i];
    DistillerLayer& to = result_.layers[i];
    to.module = modules_[i];
    to.kind = kind_of(layer, s);
    to.accumulator_bits = s.accumulator_bits;
    to.mode_weights = s.mode_weights;
    to.bits_weights = s.bits_weights.value_or(0);
    to.activations = {.bits = s.bits_activations.value_or(0),
                      .mode = s.mode_activations,
                      .clip = s.clip,
                      .approximate_bits = s.approximate_bits,
                      .compat = result_.compat};
    to.quantize_inputs = !has_weights(layer) && s.quantize_inputs;
    if (is_relu(layer)) to.activations.clip.half_range = true;
  }

  Kind kind_of(const FloatLayer& layer, const ModuleSettings& s) const {
    if (only_moves(layer)) return Kind::kMove;
    if (has_weights(layer)) {
      if (s.bits_activations && s.bits_weights) return Kind::kProduct;
      return s.bits_activations && !old() ? Kind::kFake : Kind::kFloat;
    }
    if (!s.bits_activations) return Kind::kFloat;
    if (combines(layer)) {
      if (result_.dynamic) return Kind::kFloat;  // has no dynamic form
      return layer.operator_type == "Concat" ? Kind::kConcat : Kind::kAdd;
    }
    return old() ? Kind::kFloat : Kind::kFake;
  }

  // A ReLU that alone reads a layer becomes that layer's.
  void fuse(size_t i) {
    DistillerLayer& layer = result_.layers[i];
    const bool integers =
        layer.kind == Kind::kProduct || layer.kind == Kind::kAdd || layer.kind == Kind::kConcat;
    const bool fake_product = layer.kind == Kind::kFake && has_weights(network_.layers[i]);
    const FloatLayer* reader = only_reader(i);
    if ((!integers && !fake_product) || reader == nullptr || !is_relu(*reader)) return;
    layer.relu = true;
    layer.activations.clip.half_range = true;
    const size_t at = readers(network_.layers[i].output)[0];
    if (!stays(i, at)) result_.layers[at].kind = Kind::kIdentity;
  }

  // kDistiller04 replaces modules in the order in which they are registered: a ReLU that comes
  // before the layer that it follows is quantized already when it should become an identity.
  bool stays(size_t i, size_t relu) const {
    if (result_.compat != Compat::kDistiller04) return false;
    const auto own = result_.statistics.find(modules_[i]),
               other = result_.statistics.find(modules_[relu]);
    return own != result_.statistics.end() && other != result_.statistics.end() &&
           other->second.position < own->second.position;
  }

  [[noreturn]] void refuse_missing(size_t i, const std::string& what) const {
    refuse(i, "statistics", "have no " + what + " of this layer",
           "collect the statistics of this network");
  }
  const TensorStatistics& output_record(size_t i) const {
    const auto found = result_.statistics.find(modules_[i]);
    if (found == result_.statistics.end() || !found->second.output) refuse_missing(i, "output");
    return *found->second.output;
  }
  const TensorStatistics& input_record(size_t i, int k) const {
    const auto found = result_.statistics.find(modules_[i]);
    if (found == result_.statistics.end() || !found->second.inputs.contains(k))
      refuse_missing(i, fmt::format("input {}", k));
    return found->second.inputs.at(k);
  }

  LinearQuantization quantization(size_t i, const ActivationSettings& settings,
                                  const TensorStatistics& statistics, const char* what) const {
    try {
      return activation_quantization(settings, statistics);
    } catch (const std::invalid_argument& error) {
      refuse(i, std::string("statistics of the ") + what, error.what(),
             settings.clip.clipping > Clipping::kLaplace && !statistics.histogram
                 ? "collect them with histograms: widthwise calibrate --histogram-bins 2048"
                 : "collect the statistics again, or choose another clipping (of n_std, more "
                   "deviations)");
    }
  }

  void make_static(size_t i) {
    DistillerLayer& layer = result_.layers[i];
    const FloatLayer& real = network_.layers[i];
    const bool quantized = layer.kind == Kind::kProduct || layer.kind == Kind::kAdd ||
                           layer.kind == Kind::kConcat || layer.kind == Kind::kFake;
    if (!quantized) return;
    TensorStatistics output = output_record(i);
    if (is_relu(real))
      output = relu_statistics(input_record(i, 0), output, layer.activations.clip.clipping);
    layer.ofmap = quantization(i, layer.activations, output, "output");
  }

  const ModuleSettings::Input* stated(size_t i, int k) const {
    const auto found = settings_[i].inputs.find(k);
    return found == settings_[i].inputs.end() ? nullptr : &found->second;
  }

 public:
  // After all layers are known: which inputs bring no quantization. Then what a product reads is
  // known, too.
  void make_inputs() {
    std::vector<bool> brings(network_.tensors.size(), false);
    std::vector<const LinearQuantization*> brought(network_.tensors.size(), nullptr);
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      const FloatLayer& real = network_.layers[i];
      DistillerLayer& layer = result_.layers[i];
      for (size_t k = 0; k < real.inputs.size(); ++k) {
        const bool fresh = old() || !brings[static_cast<size_t>(real.inputs[k])];
        make_input(i, static_cast<int>(k), fresh);
      }
      const LinearQuantization* of_input = brought[static_cast<size_t>(real.inputs[0])];
      if (layer.kind == Kind::kProduct && !result_.dynamic)
        make_static_input(real, of_input, layer);
      brings[static_cast<size_t>(real.output)] =
          layer.kind == Kind::kIdentity ? brings[static_cast<size_t>(real.inputs[0])]
                                        : layer.kind != Kind::kFloat && layer.kind != Kind::kMove;
      brought[static_cast<size_t>(real.output)] =
          layer.kind == Kind::kIdentity ? of_input : (layer.ofmap ? &*layer.ofmap : nullptr);
    }
  }

 private:
  void make_input(size_t i, int k, bool fresh) {
    DistillerLayer& layer = result_.layers[i];
    DistillerLayer::Input& input = layer.inputs.emplace_back();
    const ModuleSettings::Input* own = stated(i, k);
    const bool quantizes = layer.kind == Kind::kProduct || layer.kind == Kind::kAdd ||
                           layer.kind == Kind::kConcat ||
                           (layer.kind == Kind::kFake && layer.quantize_inputs);
    if (!fresh && own != nullptr && quantizes)
      refuse(i, fmt::format("input_overrides.{}", k),
             "is given, but this input brings the quantization of the layer that wrote it",
             "leave it out; the writer's bits_activations decide");
    input.settings = fallback_settings(layer.activations, result_.dynamic);
    if (!quantizes || !fresh) return;
    if (own != nullptr) {
      if (own->from_output) {
        input.settings.clip.half_range = false;
      } else {
        override_input(*own, input);
      }
    } else {
      input.refused = !settings_[i].input_fallback;
    }
    if (input.refused)
      refuse(i, fmt::format("input {}", k),
             "brings no quantization, and inputs_quant_auto_fallback is off",
             "state it under input_overrides, or allow the fallback");
    if (result_.dynamic) return;
    input.quantization = quantization(i, input.settings, input_record(i, k), "input");
    if (input.quirk)
      input.quantization->codes =
          code_range(input.settings.bits, QuantizationMode::kAsymmetricSigned, result_.compat);
  }

  void make_static_input(const FloatLayer& real, const LinearQuantization* brought,
                         DistillerLayer& layer) const {
    const auto& own = layer.inputs[0].quantization;
    layer.ifmap = own ? *own : *brought;
    if (result_.compat == Compat::kNone)
      make_room_for_bias(real.weights, real.bias, layer.ifmap->scales[0], *layer.ofmap,
                         layer.weights);
  }

  // kDistiller04 takes whatever is stated as asymmetric and unsigned, and clamps to signed codes.
  void override_input(const ModuleSettings::Input& own, DistillerLayer::Input& input) const {
    ActivationSettings& s = input.settings;
    if (own.bits) s.bits = *own.bits;
    if (own.clip) s.clip = *own.clip;
    if (own.mode) s.mode = *own.mode;
    input.quirk = result_.compat == Compat::kDistiller04;
    if (input.quirk) s.mode = QuantizationMode::kAsymmetricUnsigned;
  }

  void make_weights(size_t i) {
    DistillerLayer& layer = result_.layers[i];
    FloatLayer& real = network_.layers[i];
    const ModuleSettings& s = settings_[i];
    if (!has_weights(real) || !s.bits_weights) return;
    for (const float w : real.weights) {
      if (!std::isfinite(w)) refuse(i, "weights", "are not finite", "train the network again");
    }
    const int64_t channels = std::get<MatmulWorkload>(real.workload).window.ofmap_channels;
    layer.weights = quantize_weights(real.weights, channels, *s.bits_weights, s.mode_weights,
                                     s.per_channel, result_.compat);
    if (layer.kind == Kind::kProduct) return;
    // Weights only: they and the bias are what their codes stand for.
    real.weights = dequantized(layer.weights);
    if (real.bias.empty()) return;
    const BaseBias bias = dynamic_base_bias(real.bias, s.accumulator_bits, *s.bits_weights,
                                            s.mode_weights, result_.compat);
    for (size_t oc = 0; oc < real.bias.size(); ++oc)
      real.bias[oc] = linear_dequantize(bias.codes[oc], bias.scale);
  }

  DistillerNetwork& result_;
  FloatNetwork& network_;
  const std::vector<std::string>& modules_;
  const std::vector<ModuleSettings>& settings_;
  const std::vector<std::vector<size_t>> readers_;
};

}  // namespace

DistillerNetwork quantize_as_distiller(FloatNetwork network,
                                       const std::vector<std::string>& modules,
                                       const std::vector<ModuleSettings>& settings,
                                       const NetworkStatistics* statistics, Compat compat) {
  DistillerNetwork result;
  result.compat = compat;
  result.network = std::move(network);
  Builder builder(result, modules, settings, statistics);
  builder.run();
  builder.make_inputs();
  return result;
}

}  // namespace widthwise
