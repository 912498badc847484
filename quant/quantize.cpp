#include "quant/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace widthwise {
namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& field,
                         const std::string& problem, const std::string& fix) {
  throw InputError({.file = "", .where = where, .field = field, .problem = problem, .fix = fix});
}

// Where the codes of a tensor come from when it has no range of its own.
bool keeps_quantization(const FloatLayer& layer) {
  const bool moves =
      std::holds_alternative<MoveWorkload>(layer.workload) && layer.inputs.size() == 1;
  return moves || std::holds_alternative<MaxPoolWorkload>(layer.workload);
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

class Quantizer {
 public:
  Quantizer(const FloatNetwork& network, const Statistics& statistics,
            const QuantizationConfig& config)
      : network_(network),
        statistics_(statistics),
        config_(config),
        bits_(network.tensors.size(), 0) {}

  QuantizedNetwork run() {
    check_config();
    choose_bits();
    result_.name = network_.name;
    result_.input = network_.input;
    result_.output = network_.output;
    for (const FloatTensor& tensor : network_.tensors)
      result_.tensors.push_back({tensor.name, tensor.shape, {}});
    quantize_tensor(network_.input);
    for (const FloatLayer& layer : network_.layers) quantize_layer(layer);
    return std::move(result_);
  }

 private:
  const FloatTensor& tensor(int index) const { return network_.tensor(index); }
  TensorQuantization& quantization(int index) {
    return result_.tensors[static_cast<size_t>(index)].quantization;
  }
  int& bits(int index) { return bits_[static_cast<size_t>(index)]; }

  void check_config() const {
    const auto check = [](int bits, int most, const std::string& field) {
      if (bits < 2 || bits > most)
        refuse("quantization", field, fmt::format("is {}, allowed 2..{}", bits, most),
               "choose a width in that range");
    };
    check(config_.ifmap.bits, 8, "ifmap bits");
    check(config_.weight.bits, 8, "weight bits");
    check(config_.output_bits, 16, "output bits");
    if (config_.weights == Symmetry::kSymmetric && !config_.weight.is_signed) {
      refuse("quantization", "weight",
             "is unsigned and symmetric, so negative weights have no code",
             "make the weights signed or asymmetric");
    }
    for (const auto& [name, layer] : config_.layers) {
      const auto& wanted = name;  // clang 14 captures no structured bindings
      const bool known =
          std::any_of(network_.layers.begin(), network_.layers.end(), [&](const FloatLayer& l) {
            return l.name == wanted && std::holds_alternative<MatmulWorkload>(l.workload);
          });
      if (!known) {
        std::vector<std::string> names;
        for (const FloatLayer& l : network_.layers) {
          if (std::holds_alternative<MatmulWorkload>(l.workload)) names.push_back(l.name);
        }
        refuse("network '" + network_.name + "'", "layer",
               "'" + name + "' has no matmul of that name; it has " + list_names(names),
               "correct the name under layers");
      }
      check(layer.ifmap.value_or(8), 8, "ifmap bits of layer '" + name + "'");
      check(layer.weight.value_or(8), 8, "weight bits of layer '" + name + "'");
    }
  }

  // Bits that a matmul wants of its ifmap travel back through layers that only move codes.
  void choose_bits() {
    bits(network_.output) = config_.output_bits;
    for (auto layer = network_.layers.rbegin(); layer != network_.layers.rend(); ++layer) {
      for (const int input : layer->inputs) {
        int wanted = 0;
        if (keeps_quantization(*layer)) {
          wanted = bits(layer->output);
        } else if (std::holds_alternative<MatmulWorkload>(layer->workload)) {
          const auto found = config_.layers.find(layer->name);
          wanted = found == config_.layers.end() ? config_.ifmap.bits
                                                 : found->second.ifmap.value_or(config_.ifmap.bits);
        }
        if (wanted == 0) continue;
        if (bits(input) != 0 && bits(input) != wanted) {
          refuse("tensor '" + tensor(input).name + "'", "bits",
                 fmt::format("are {} for one reader and {} for layer '{}'", bits(input), wanted,
                             layer->name),
                 "give all layers that read this tensor the same ifmap bits");
        }
        bits(input) = wanted;
      }
    }
    for (int& b : bits_) {
      if (b == 0) b = config_.ifmap.bits;
    }
  }

  void quantize_tensor(int index) {
    const std::string& name = tensor(index).name;
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
    const IntegerFormat format{bits(index), config_.ifmap.is_signed};
    if (config_.activations == Symmetry::kSymmetric && !format.is_signed && s.min < 0) {
      refuse("tensor '" + name + "'", "ifmap",
             fmt::format("is unsigned and symmetric, but the tensor reaches {}", s.min),
             "use asymmetric or signed activations");
    }
    quantization(index) =
        range_quantization(static_cast<float>(s.min), static_cast<float>(s.max), format,
                           config_.activations, config_.power_of_two_scales);
  }

  void quantize_layer(const FloatLayer& layer) {
    QuantizedLayer out;
    out.name = layer.name;
    out.operator_type = layer.operator_type;
    out.workload = layer.workload;
    out.ifmaps = layer.inputs;
    out.ofmap = layer.output;
    if (keeps_quantization(layer)) {
      quantization(layer.output) = quantization(layer.inputs[0]);
    } else {
      quantize_tensor(layer.output);
    }
    const TensorQuantization& ofmap = quantization(layer.output);
    out.q_min = std::isinf(layer.low) ? static_cast<int32_t>(ofmap.format.min())
                                      : quantize_value(layer.low, ofmap);
    out.q_max = std::isinf(layer.high) ? static_cast<int32_t>(ofmap.format.max())
                                       : quantize_value(layer.high, ofmap);
    if (std::holds_alternative<MatmulWorkload>(layer.workload)) quantize_weights(layer, out);
    result_.layers.push_back(std::move(out));
  }

  void quantize_weights(const FloatLayer& layer, QuantizedLayer& out) {
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
      const auto found = config_.layers.find(layer.name);
      out.weight_format = config_.weight;
      if (found != config_.layers.end())
        out.weight_format.bits = found->second.weight.value_or(config_.weight.bits);
      const size_t ranges = config_.per_channel ? channels : 1,
                   size = layer.weights.size() / ranges;
      for (size_t r = 0; r < ranges; ++r) {
        const auto begin = layer.weights.begin() + static_cast<std::ptrdiff_t>(r * size);
        const auto [least, greatest] =
            std::minmax_element(begin, begin + static_cast<std::ptrdiff_t>(size));
        const TensorQuantization q = range_quantization(
            *least, *greatest, out.weight_format, config_.weights, config_.power_of_two_scales);
        out.weight_scales.push_back(q.scale);
        if (config_.weights == Symmetry::kAsymmetric)
          out.weight_zero_points.push_back(q.zero_point);
        for (size_t i = 0; i < size; ++i)
          out.weights.push_back(quantize_value(begin[static_cast<std::ptrdiff_t>(i)], q));
      }
    }
    out.bias.assign(channels, 0);
    const double ifmap_scale = quantization(layer.inputs[0]).scale;
    for (size_t oc = 0; oc < layer.bias.size(); ++oc) {
      const double code = std::nearbyint(
          layer.bias[oc] / (ifmap_scale * out.weight_scale(static_cast<int64_t>(oc))));
      if (std::abs(code) > 2147483647.0) {
        refuse(
            "layer '" + layer.name + "'", "bias",
            fmt::format("of channel {} is {:.3g} steps of its scale, allowed within int32", oc,
                        code),
            "the channel's weights are almost zero: prune it, or quantize the weights per tensor");
      }
      out.bias[oc] = static_cast<int32_t>(code);
    }
  }

  const FloatNetwork& network_;
  const Statistics& statistics_;
  const QuantizationConfig& config_;
  std::vector<int> bits_;  // of every tensor
  QuantizedNetwork result_;
};

}  // namespace

QuantizedNetwork quantize(const FloatNetwork& network, const Statistics& statistics,
                          const QuantizationConfig& config) {
  return Quantizer(network, statistics, config).run();
}

}  // namespace widthwise
