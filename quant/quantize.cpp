#include "quant/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quant/activation_range.h"
#include "quant/fake_quantized.h"
#include "quant/float_parts.h"
#include "quant/tensor_bits.h"
#include "quant/weight_range.h"

namespace widthwise {
namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& field,
                         const std::string& problem, const std::string& fix) {
  throw InputError({.file = "", .where = where, .field = field, .problem = problem, .fix = fix});
}

bool is_power_of_two(float value) {
  int exponent = 0;
  return std::frexp(value, &exponent) == 0.5F;
}

// The least power of two at which `value` > 0 is a code of the format.
float power_of_two_step(float value, IntegerFormat format) {
  float step = std::exp2(std::ceil(std::log2(value / static_cast<float>(format.max()))));
  while (std::nearbyint(value / step) > static_cast<float>(format.max())) step *= 2;
  return step;
}

void check_ranges(const QuantizationConfig& config) {
  const auto percent = [](double value, const std::string& what) {
    if (!(value > 0 && value <= 100))
      refuse("quantization", what + " percentile",
             fmt::format("is {}, allowed above 0 and up to 100", value), "99.99 is usual");
  };
  percent(config.activation_range.percentile, "activation");
  percent(config.weight_range.percentile, "weight");
  if (!(config.activation_range.n_stds > 0))
    refuse("quantization", "n_stds",
           fmt::format("is {}, allowed above 0", config.activation_range.n_stds), "3 is usual");
}

class Quantizer {
 public:
  Quantizer(const FloatNetwork& network, const Statistics& statistics,
            const QuantizationConfig& config)
      : network_(network), statistics_(statistics), config_(config) {}

  QuantizedNetwork run() {
    check_config(network_, config_);
    bits_ = tensor_bits(network_, config_);
    parts_ = float_parts(network_, config_);
    result_.name = network_.name;
    result_.input = network_.input;
    result_.output = network_.output;
    for (const FloatTensor& tensor : network_.tensors)
      result_.tensors.push_back({tensor.name, tensor.shape, {}});
    quantize_tensor(network_.input);
    for (size_t i = 0; i < network_.layers.size(); ++i) quantize_layer(i);
    return std::move(result_);
  }

 private:
  const FloatTensor& tensor(int index) const { return network_.tensor(index); }
  TensorQuantization& quantization(int index) {
    return result_.tensors[static_cast<size_t>(index)].quantization;
  }

  // Scale and format of a tensor's codes at this many bits.
  TensorQuantization own_quantization(const std::string& name, int bits) const {
    const auto found = statistics_.find(name);
    if (found == statistics_.end())
      refuse("statistics", "tensor '" + name + "'", "is missing", "calibrate this network again");
    const TensorStatistics& s = found->second;
    if (!std::isfinite(s.min) || !std::isfinite(s.max) || s.min > s.max ||
        !std::isfinite(static_cast<float>(s.max - s.min))) {
      refuse(
          "statistics", "tensor '" + name + "'",
          fmt::format(
              "has range [{}, {}], allowed finite with min <= max, and a width that float32 holds",
              s.min, s.max),
          "calibrate this network again");
    }
    const bool symmetric = config_.activations != Symmetry::kAsymmetric;
    const bool is_unsigned = symmetric && config_.unsigned_activations && s.min >= 0;
    const IntegerFormat format{bits, config_.ifmap.is_signed && !is_unsigned};
    if (symmetric && !format.is_signed && s.min < 0) {
      refuse("tensor '" + name + "'", "ifmap",
             fmt::format("is unsigned and symmetric, but the tensor reaches {}", s.min),
             "use asymmetric or signed activations");
    }
    const auto own = config_.tensor_ranges.find(name);
    const ActivationRange& choice =
        own == config_.tensor_ranges.end() ? config_.activation_range : own->second;
    try {
      const RealRange range =
          activation_range(s, choice, format, config_.activations, config_.power_of_two_scales);
      return range_quantization(range.low, range.high, format, config_.activations,
                                config_.power_of_two_scales);
    } catch (const std::invalid_argument& error) {
      const bool histogram = choice.clipping >= Clipping::kPercentile;
      refuse("statistics", "of tensor '" + name + "'", error.what(),
             histogram ? "collect them with histograms: widthwise calibrate --histogram-bins 2048"
                       : "collect the statistics of this network again");
    }
  }

  void quantize_tensor(int index) {
    const auto at = static_cast<size_t>(index);
    if (parts_.tensors[at]) {
      result_.tensors[at].is_real = true;
    } else {
      quantization(index) = own_quantization(tensor(index).name, bits_.of_tensor[at]);
    }
  }

  // The tensor's codes at fewer bits: of a layer of their own, made for the first reader.
  int rescaled(int index, int bits) {
    const auto known = rescaled_.find({index, bits});
    if (known != rescaled_.end()) return known->second;
    const std::string name = fmt::format("{}_{}_bits", tensor(index).name, bits);
    // Data movement has no range of its own: that of the tensor whose codes are moved.
    int origin = index;
    for (auto layer = network_.layers.rbegin(); layer != network_.layers.rend(); ++layer) {
      if (layer->output == origin && keeps_quantization(*layer)) origin = layer->inputs[0];
    }
    const TensorQuantization q = own_quantization(tensor(origin).name, bits);
    QuantizedLayer out;
    out.name = name + "_QuantizeLinear";
    out.operator_type = "Identity";
    out.workload = ElementwiseWorkload{ElementwiseWorkload::Kind::kClamp, tensor(index).elements()};
    out.ifmaps = {index};
    out.ofmap = static_cast<int>(result_.tensors.size());
    out.q_min = static_cast<int32_t>(q.format.min());
    out.q_max = static_cast<int32_t>(q.format.max());
    result_.tensors.push_back({name, tensor(index).shape, q});
    result_.layers.push_back(std::move(out));
    return rescaled_[{index, bits}] = result_.layers.back().ofmap;
  }

  void quantize_layer(size_t index) {
    const FloatLayer& layer = network_.layers[index];
    for (const auto* values : {&layer.weights, &layer.bias}) {
      if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); }))
        refuse("layer '" + layer.name + "'", values == &layer.weights ? "weights" : "bias values",
               "are not finite", "train the network again");
    }
    const bool in_float = parts_.layers[index];
    const int ifmap_bits = bits_.of_ifmap[index];
    QuantizedLayer out;
    out.name = layer.name;
    out.operator_type = layer.operator_type;
    out.workload = layer.workload;
    out.ifmaps = layer.inputs;
    out.ofmap = layer.output;
    if (in_float) out.in_float = {layer.weights, layer.bias, layer.low, layer.high};
    const auto ifmap = static_cast<size_t>(layer.inputs[0]);
    if (!parts_.tensors[ifmap] && ifmap_bits < bits_.of_tensor[ifmap])
      out.ifmaps[0] = rescaled(layer.inputs[0], ifmap_bits);
    if (keeps_quantization(layer) && !parts_.tensors[ifmap]) {
      quantization(layer.output) = quantization(layer.inputs[0]);
    } else {
      quantize_tensor(layer.output);
    }
    const TensorQuantization& ofmap = quantization(layer.output);
    out.q_min = std::isinf(layer.low) ? static_cast<int32_t>(ofmap.format.min())
                                      : quantize_value(layer.low, ofmap);
    out.q_max = std::isinf(layer.high) ? static_cast<int32_t>(ofmap.format.max())
                                       : quantize_value(layer.high, ofmap);
    const bool matmul = std::holds_alternative<MatmulWorkload>(layer.workload);
    if (matmul && !in_float) {
      quantize_weights(layer, bits_.of_weight[index], out);
      make_room_for_bias(layer, out);
      out.bias = bias_codes(out, layer.bias, quantization(out.ifmaps[0]));
    } else if (has_weights(layer) && !config_.float_weights.contains(layer.name)) {
      quantize_weights(layer, bits_.of_weight[index], out);
      out.in_float->weights = real_weights(out);
    }
    result_.layers.push_back(std::move(out));
  }

  void quantize_weights(const FloatLayer& layer, int bits, QuantizedLayer& out) {
    const auto& workload = std::get<MatmulWorkload>(layer.workload);
    const auto length = static_cast<size_t>(workload.reduction_length());
    const auto channels = static_cast<size_t>(workload.window.ofmap_channels);
    const float unit_scale = workload.unit_weights ? layer.weights.at(0) : 1;
    if (workload.unit_weights && config_.power_of_two_scales && !is_power_of_two(unit_scale)) {
      // A shift cannot divide by this many taps: multiply by the nearest code at a power of two.
      std::get<MatmulWorkload>(out.workload).unit_weights = false;
      out.weight_format = config_.weight;
      out.weight_scales = {power_of_two_step(unit_scale, out.weight_format)};
      const auto code = static_cast<int32_t>(std::nearbyint(unit_scale / out.weight_scales[0]));
      out.weights.assign(channels * length, code);
    } else if (workload.unit_weights) {
      out.weight_format = {1, false};
      out.weights.assign(channels * length, 1);
      out.weight_scales = {unit_scale};
    } else {
      out.weight_format = config_.weight;
      out.weight_format.bits = bits;
      const int32_t least_code = least_weight_code(out.weight_format, config_.weights);
      const size_t ranges = config_.per_channel ? channels : 1,
                   size = layer.weights.size() / ranges;
      for (size_t r = 0; r < ranges; ++r) {
        const auto own = std::span(layer.weights).subspan(r * size, size);
        const TensorQuantization q =
            weight_quantization(own, config_.weight_range, out.weight_format, config_.weights,
                                config_.power_of_two_scales);
        out.weight_scales.push_back(q.scale);
        if (config_.weights == Symmetry::kAsymmetric)
          out.weight_zero_points.push_back(q.zero_point);
        for (const float w : own) out.weights.push_back(std::max(quantize_value(w, q), least_code));
      }
    }
  }

  // step_with_room(), and the codes at that step.
  void make_room_for_bias(const FloatLayer& layer, QuantizedLayer& out) {
    if (layer.bias.empty() || std::get<MatmulWorkload>(layer.workload).unit_weights) return;
    const size_t parts = out.weight_scales.size(), biases = layer.bias.size() / parts,
                 length = out.weights.size() / parts;
    const TensorQuantization& ofmap = quantization(layer.output);
    const auto codes = static_cast<float>(
        std::max(ofmap.format.max() - ofmap.zero_point, ofmap.zero_point - ofmap.format.min()));
    for (size_t i = 0; i < parts; ++i) {
      const auto step = step_with_room(std::span(layer.bias).subspan(i * biases, biases),
                                       quantization(out.ifmaps[0]).scale, out.weight_scales[i],
                                       codes * ofmap.scale);
      if (!step) continue;
      out.weight_scales[i] =
          config_.power_of_two_scales ? std::exp2(std::ceil(std::log2(*step))) : *step;
      const TensorQuantization q{out.weight_format, out.weight_scales[i],
                                 out.weight_zero_point(static_cast<int64_t>(i * biases))};
      for (size_t k = i * length; k < (i + 1) * length; ++k)
        out.weights[k] = std::max(quantize_value(layer.weights[k], q),
                                  least_weight_code(out.weight_format, config_.weights));
    }
  }

  const FloatNetwork& network_;
  const Statistics& statistics_;
  const QuantizationConfig& config_;
  TensorBits bits_;
  FloatParts parts_;
  std::map<std::pair<int, int>, int> rescaled_;  // tensor and bits -> tensor
  QuantizedNetwork result_;
};

}  // namespace

std::vector<int32_t> bias_codes(const QuantizedLayer& layer, std::span<const float> bias,
                                const TensorQuantization& ifmap) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  std::vector<int32_t> codes(static_cast<size_t>(workload.window.ofmap_channels), 0);
  const double ifmap_scale = ifmap.scale;
  for (size_t oc = 0; oc < bias.size(); ++oc) {
    const double code =
        std::nearbyint(bias[oc] / (ifmap_scale * layer.weight_scale(static_cast<int64_t>(oc))));
    if (!(std::abs(code) <= 2147483647.0)) {
      refuse(
          "layer '" + layer.name + "'", "bias",
          fmt::format("of channel {} is {:.3g} steps of its scale, allowed within int32", oc, code),
          "weights or ifmap are nothing beside it: give every channel a scale of its own, or take "
          "the constant out");
    }
    codes[oc] = static_cast<int32_t>(code);
  }
  return codes;
}

void check_config(const FloatNetwork& network, const QuantizationConfig& config) {
  const std::vector<bool> real = float_parts(network, config).tensors;
  const auto has_codes = [&](const FloatLayer& layer) {
    return has_weights(layer) && !config.float_weights.contains(layer.name);
  };
  if (std::find(real.begin(), real.end(), false) == real.end() &&
      std::none_of(network.layers.begin(), network.layers.end(), has_codes))
    refuse("quantization", "bits", "are none, so that nothing is quantized", "give some");
  const auto check = [](int bits, int most, const std::string& field) {
    if (bits < 2 || bits > most)
      refuse("quantization", field, fmt::format("is {}, allowed 2..{}", bits, most),
             "choose a width in that range");
  };
  check(config.ifmap.bits, 8, "ifmap bits");
  check(config.weight.bits, 8, "weight bits");
  check(config.output_bits, 16, "output bits");
  if (config.elementwise_bits) check(*config.elementwise_bits, 8, "element-wise bits");
  if (config.first_last_bits) check(*config.first_last_bits, 8, "first and last bits");
  check_ranges(config);
  if (config.weights != Symmetry::kAsymmetric && !config.weight.is_signed) {
    refuse("quantization", "weight", "is unsigned and symmetric, so negative weights have no code",
           "make the weights signed or asymmetric");
  }
  for (const auto& [name, layer] : config.layers) {
    const auto& wanted = name;  // clang 14 captures no structured bindings
    const bool known =
        std::any_of(network.layers.begin(), network.layers.end(), [&](const FloatLayer& l) {
          return l.name == wanted && std::holds_alternative<MatmulWorkload>(l.workload);
        });
    if (!known) {
      std::vector<std::string> names;
      for (const FloatLayer& l : network.layers) {
        if (std::holds_alternative<MatmulWorkload>(l.workload)) names.push_back(l.name);
      }
      refuse("network '" + network.name + "'", "layer",
             "'" + name + "' has no matmul of that name; it has " + list_names(names),
             "correct the name under layers");
    }
    check(layer.ifmap.value_or(8), 8, "ifmap bits of layer '" + name + "'");
    check(layer.weight.value_or(8), 8, "weight bits of layer '" + name + "'");
  }
  tensor_bits(network, config);  // refuses readers that disagree
}

QuantizedNetwork quantize(const FloatNetwork& network, const Statistics& statistics,
                          const QuantizationConfig& config) {
  return Quantizer(network, statistics, config).run();
}

}  // namespace widthwise
