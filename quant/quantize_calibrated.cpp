#include "quant/quantize_calibrated.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "quant/equalize.h"
#include "quant/fake_quantized.h"
#include "quant/layer_moments.h"
#include "quant/tensor_bits.h"
#include "quant/trunk.h"
#include "quant/weight_range.h"
#include "quant/weight_rounding.h"

namespace widthwise {
namespace {

class Refiner {
 public:
  Refiner(const FloatNetwork& real, QuantizedNetwork& network, const ImageSource& source,
          int64_t images, const QuantizationConfig& config)
      : real_(real),
        network_(network),
        images_(images),
        config_(config),
        fake_(fake_quantized(network)),
        trunk_(real, fake_, source, images) {
    for (size_t i = 0; i < network.layers.size(); ++i) quantized_[network.layers[i].name] = i;
  }

  void run(Progress& progress) {
    progress.begin("rounding weights", std::ssize(real_.layers), "layers");
    for (size_t i = 0; i < real_.layers.size(); ++i) {
      const size_t quantized = quantized_.at(real_.layers[i].name);
      if (has_weights(real_.layers[i]) && !network_.layers[quantized].weights.empty())
        refine(i, quantized);
      progress.advance(1);
    }
    progress.end();
  }

 private:
  void refine(size_t index, size_t quantized_index) {
    const FloatLayer& real = real_.layers[index];
    QuantizedLayer& layer = network_.layers[quantized_index];
    FloatLayer& fake = fake_.network.layers[quantized_index];
    const auto& workload = std::get<MatmulWorkload>(layer.workload);
    const bool rounds = config_.rounding == WeightRounding::kGptq;
    const LayerMoments moments =
        layer_moments(workload, trunk_.before(index, layer.ifmaps[0]), images_, rounds);
    if (rounds) round(real, layer, workload, moments);
    if (config_.bias_correction) correct_bias(real, layer, workload, moments);
    fake.weights = real_weights(layer);
    if (layer.in_float) {
      layer.in_float->weights = fake.weights;
      fake.bias = layer.in_float->bias;
    } else {
      fake.bias = real_bias(layer, network_.tensor(layer.ifmaps[0]).quantization);
    }
  }

  void round(const FloatLayer& real, QuantizedLayer& layer, const MatmulWorkload& workload,
             const LayerMoments& m) const {
    const int64_t length = m.length, channels = workload.group_ofmap_channels();
    const int32_t least = least_weight_code(layer.weight_format, config_.weights);
    tbb::parallel_for(int64_t{0}, m.groups, [&](int64_t group) {
      const auto of_group = [&](const std::vector<double>& all) {
        return std::span(all).subspan(static_cast<size_t>(group * length * length),
                                      static_cast<size_t>(length * length));
      };
      std::vector<double> hessian(of_group(m.covariance).begin(), of_group(m.covariance).end()),
          cross(of_group(m.cross_covariance).begin(), of_group(m.cross_covariance).end());
      if (!config_.bias_correction) add_means(m, group, hessian, cross);
      const LeastErrorRounding rounding(hessian, length);
      tbb::parallel_for(group * channels, (group + 1) * channels, [&](int64_t oc) {
        const auto first = real.weights.begin() + oc * length;
        const std::vector<double> given(first, first + length);
        const std::vector<double> wanted = rounding.compensated(given, cross);
        const TensorQuantization q{layer.weight_format, layer.weight_scale(oc),
                                   layer.weight_zero_point(oc)};
        const std::vector<int32_t> codes = rounding.round(wanted, q, least);
        std::copy(codes.begin(), codes.end(), layer.weights.begin() + oc * length);
      });
    });
  }

  // Second moments in place of covariances: the bias will not take up an error's mean.
  static void add_means(const LayerMoments& m, int64_t group, std::vector<double>& hessian,
                        std::vector<double>& cross) {
    const auto length = static_cast<size_t>(m.length);
    const size_t first = static_cast<size_t>(group) * length;
    for (size_t i = 0; i < length; ++i) {
      for (size_t j = 0; j < length; ++j) {
        hessian[i * length + j] += m.mean[first + i] * m.mean[first + j];
        cross[i * length + j] += m.real_mean[first + i] * m.mean[first + j];
      }
    }
  }

  void correct_bias(const FloatLayer& real, QuantizedLayer& layer, const MatmulWorkload& workload,
                    const LayerMoments& m) const {
    const std::vector<float> weights = real_weights(layer);
    std::vector<float> bias = real.bias;
    bias.resize(static_cast<size_t>(workload.window.ofmap_channels));
    for (int64_t oc = 0; oc < workload.window.ofmap_channels; ++oc) {
      const int64_t first = oc / workload.group_ofmap_channels() * m.length;
      double shift = 0;
      for (int64_t i = 0; i < m.length; ++i) {
        const auto w = static_cast<size_t>(oc * m.length + i), x = static_cast<size_t>(first + i);
        shift += static_cast<double>(real.weights[w]) * m.real_mean[x] -
                 static_cast<double>(weights[w]) * m.mean[x];
      }
      bias[static_cast<size_t>(oc)] += static_cast<float>(shift);
    }
    if (layer.in_float) {
      layer.in_float->bias = bias;
    } else {
      layer.bias = bias_codes(layer, bias, network_.tensor(layer.ifmaps[0]).quantization);
    }
  }

  const FloatNetwork& real_;
  QuantizedNetwork& network_;
  int64_t images_;
  const QuantizationConfig& config_;
  FakeQuantizedNetwork fake_;  // of network_ as it is
  Trunk trunk_;
  std::map<std::string, size_t> quantized_;  // layers of network_ by name
};

// What the ranges of activations are chosen from.
Detail needed_detail(const QuantizationConfig& config) {
  const auto needed = [](Clipping clipping) {
    if (clipping <= Clipping::kAverage) return Detail::kRanges;
    return clipping <= Clipping::kLaplace ? Detail::kMoments : Detail::kHistograms;
  };
  Detail detail = needed(config.activation_range.clipping);
  for (const auto& [tensor, range] : config.tensor_ranges)
    detail = std::max(detail, needed(range.clipping));
  return detail;
}

// Matrices of length x length in double: some six at a time.
void check_lengths(const FloatNetwork& network, const QuantizationConfig& config) {
  constexpr int64_t kMost = 8192;
  for (const FloatLayer& layer : network.layers) {
    if (!has_weights(layer) || config.float_weights.contains(layer.name)) continue;
    const int64_t length = std::get<MatmulWorkload>(layer.workload).reduction_length();
    if (length <= kMost) continue;
    throw InputError({.file = "",
                      .where = "layer '" + layer.name + "'",
                      .field = "rounding",
                      .problem = fmt::format(
                          "by the output's error is of {} products a sum, allowed up to {}: it "
                          "takes memory by their square",
                          length, kMost),
                      .fix = "round to the nearest, or leave the layer's weights in float"});
  }
}

}  // namespace

QuantizedNetwork quantize_calibrated(const FloatNetwork& given, const ImageSource& source,
                                     int64_t images, const QuantizationConfig& config,
                                     Progress& progress) {
  check_config(given, config);
  if (config.rounding == WeightRounding::kGptq) check_lengths(given, config);
  FloatNetwork network = given;
  if (config.equalization && equalize(network) == 0)
    throw InputError({.file = "",
                      .where = "network '" + given.name + "'",
                      .field = "equalization",
                      .problem = "finds no two layers with nothing but a ReLU between them (other "
                                 "limits, as ReLU6's, do not move with the channels)",
                      .fix = "leave it out; scales per channel do the same for weights"});
  const Detail detail = needed_detail(config);
  progress.begin("calibration", images * (detail == Detail::kRanges ? 1 : 2), "images");
  const Statistics statistics = calibrate(network, source, images, progress, detail);
  progress.end();
  QuantizedNetwork quantized = quantize(network, statistics, config);
  if (config.rounding != WeightRounding::kNearest || config.bias_correction)
    Refiner(network, quantized, source, refined_images(network, images), config).run(progress);
  return quantized;
}

int64_t refined_images(const FloatNetwork& network, int64_t images) {
  constexpr int64_t kMost = 1024, kLeast = 32;
  int64_t elements = 1;
  for (const FloatTensor& tensor : network.tensors)
    elements = std::max(elements, tensor.elements());
  return std::min(images, std::clamp(kMostKeptFloats / elements, kLeast, kMost));
}

QuantizationConfig calibrated_config(IntegerFormat ifmap, IntegerFormat weight) {
  QuantizationConfig config;
  config.ifmap = ifmap;
  config.weight = weight;
  config.weights = weight.is_signed ? Symmetry::kSymmetric : Symmetry::kAsymmetric;
  config.per_channel = weight.is_signed;
  config.activation_range.clipping = Clipping::kMse;
  config.elementwise_bits = 8;
  config.first_last_bits = 8;
  add_calibrated_methods(config);
  return config;
}

void add_calibrated_methods(QuantizationConfig& config) {
  config.weight_range.clipping = WeightClipping::kMse;
  config.rounding = WeightRounding::kGptq;
  config.bias_correction = true;
}

}  // namespace widthwise
