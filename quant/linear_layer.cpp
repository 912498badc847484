#include "quant/linear_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "quant/activation_range.h"
#include "quant/weight_range.h"

namespace widthwise {
namespace {

// Of values that a scale of 1 would make zeros or endless codes of.
void check_width(const RealRange& range) {
  const float width = std::max(std::abs(range.low), std::abs(range.high));
  if (width > 0 && !std::isnormal(width))
    throw std::invalid_argument(
        fmt::format("make the range {} to {}, too narrow for float32", range.low, range.high));
}

LinearQuantization with_scale(const ActivationSettings& s, const RealRange& range) {
  LinearScale scale = scale_of_range(range, s.bits, s.mode, s.compat);
  if (s.approximate_bits) scale.scale = approximate_scale(scale.scale, *s.approximate_bits).value;
  return {.bits = s.bits, .codes = code_range(s.bits, s.mode, s.compat), .scales = {scale}};
}

// kNone: symmetric codes of what is never negative need no sign.
ActivationSettings without_sign(ActivationSettings settings, double least) {
  if (settings.compat == Compat::kNone && is_symmetric(settings.mode) && least >= 0)
    settings.mode = QuantizationMode::kAsymmetricUnsigned;
  return settings;
}

float maybe_approximate(float scale, std::optional<int> bits) {
  return bits ? approximate_scale(scale, *bits).value : scale;
}

// 2^31 - 1 is no float32: what is clamped there is 2^31 in the original, one more than it should
// be.
int64_t bias_code(float value, int bits, Compat compat) {
  constexpr float kFar = 0x1p62F;
  if (compat == Compat::kNone) return static_cast<int64_t>(std::clamp(value, -kFar, kFar));
  const CodeRange range = accumulator_range(bits);
  const auto code = static_cast<int64_t>(std::clamp(value, range.q_min, range.q_max));
  return std::min(code, (int64_t{1} << (bits - 1)) - 1);
}

}  // namespace

LinearQuantization activation_quantization(const ActivationSettings& settings,
                                           const TensorStatistics& statistics) {
  const ActivationSettings s = without_sign(settings, statistics.min);
  RealRange range;
  if (s.clip.clipping <= Clipping::kLaplace) {
    range = clipped_range(statistics, s.clip, s.bits, s.mode);
  } else {
    const IntegerFormat format{s.bits, code_range(s.bits, s.mode, s.compat).q_min < 0};
    range =
        activation_range(statistics, {.clipping = s.clip.clipping, .percentile = s.clip.percentile},
                         format, symmetry_of(s.mode), false);
  }
  check_width(range);
  return with_scale(s, range);
}

LinearQuantization activation_quantization(const ActivationSettings& settings,
                                           std::span<const float> values, int64_t samples) {
  const auto least = static_cast<double>(*std::min_element(values.begin(), values.end()));
  const ActivationSettings s = without_sign(settings, least);
  return with_scale(s, clipped_range(values, samples, s.clip, s.bits, s.mode));
}

TensorStatistics relu_statistics(const TensorStatistics& input, const TensorStatistics& output,
                                 Clipping clipping) {
  TensorStatistics statistics = output;
  if (!is_aciq(clipping)) return statistics;
  statistics.mean = input.mean;
  statistics.std = input.std;
  statistics.b = input.b;
  return statistics;
}

ActivationSettings fallback_settings(const ActivationSettings& ofmap, bool dynamic) {
  ActivationSettings settings = ofmap;
  if (dynamic || ofmap.compat != Compat::kDistiller04) settings.clip.half_range = false;
  return settings;
}

QuantizedWeights quantize_weights(std::span<const float> weights, int64_t ofmap_channels, int bits,
                                  QuantizationMode mode, bool per_channel, Compat compat) {
  QuantizedWeights result;
  LinearQuantization& q = result.quantization;
  q.bits = bits;
  q.codes = code_range(bits, mode, compat);
  const size_t parts = per_channel ? static_cast<size_t>(ofmap_channels) : 1,
               each = weights.size() / parts;
  result.codes.reserve(weights.size());
  for (size_t i = 0; i < parts; ++i) {
    const auto own = weights.subspan(i * each, each);
    q.scales.push_back(scale_of_range(clipped_range(own, 1, {}, bits, mode), bits, mode, compat));
    for (const float w : own)
      result.codes.push_back(static_cast<int32_t>(linear_quantize(w, q.scales.back(), q.codes)));
  }
  return result;
}

void make_room_for_bias(std::span<const float> weights, std::span<const float> bias,
                        const LinearScale& ifmap, const LinearQuantization& ofmap,
                        QuantizedWeights& quantized) {
  LinearQuantization& q = quantized.quantization;
  if (bias.empty()) return;
  const size_t channels = bias.size() / q.scales.size(), each = weights.size() / q.scales.size();
  const LinearScale& out = ofmap.scales[0];
  const float reach = std::max(std::abs(linear_dequantize(ofmap.codes.q_min, out)),
                               std::abs(linear_dequantize(ofmap.codes.q_max, out)));
  for (size_t i = 0; i < q.scales.size(); ++i) {
    const auto step = step_with_room(bias.subspan(i * channels, channels), 1 / ifmap.scale,
                                     1 / q.scales[i].scale, reach);
    if (!step) continue;
    q.scales[i].scale = 1 / *step;
    for (size_t k = i * each; k < (i + 1) * each; ++k)
      quantized.codes[k] = static_cast<int32_t>(linear_quantize(weights[k], q.scales[i], q.codes));
  }
}

std::vector<float> accumulator_scales(const LinearScale& ifmap, const LinearQuantization& weight,
                                      std::optional<int> approximate_bits, Compat compat) {
  std::vector<float> scales;
  for (const LinearScale& w : weight.scales) {
    const float scale = ifmap.scale * w.scale;
    scales.push_back(compat == Compat::kDistiller03 ? scale
                                                    : maybe_approximate(scale, approximate_bits));
  }
  return scales;
}

CodeRange accumulator_range(int bits) {
  const double half = std::ldexp(1.0, bits - 1);
  return {static_cast<float>(-half), static_cast<float>(half - 1)};
}

std::vector<int64_t> static_bias(std::span<const float> bias, const std::vector<float>& scales,
                                 int accumulator_bits, Compat compat) {
  std::vector<int64_t> codes;
  for (size_t i = 0; i < bias.size(); ++i) {
    const float scaled = bias[i] * (scales.size() == 1 ? scales[0] : scales[i]);
    codes.push_back(bias_code(std::nearbyint(scaled), accumulator_bits, compat));
  }
  return codes;
}

BaseBias dynamic_base_bias(std::span<const float> bias, int accumulator_bits, int weight_bits,
                           QuantizationMode weight_mode, Compat compat) {
  const bool old = compat == Compat::kDistiller03;
  const int bits = old ? weight_bits : accumulator_bits;
  const QuantizationMode mode = old ? weight_mode : QuantizationMode::kSymmetric;
  const auto [least, greatest] = std::minmax_element(bias.begin(), bias.end());
  BaseBias base;
  base.scale = scale_of_range({*least, *greatest}, bits, mode, compat);
  const CodeRange codes = code_range(bits, mode, compat);
  for (const float b : bias) base.codes.push_back(linear_quantize(b, base.scale, codes));
  return base;
}

std::vector<int64_t> dynamic_bias(const BaseBias& base, const std::vector<float>& scales,
                                  int accumulator_bits, std::optional<int> approximate_bits,
                                  Compat compat) {
  std::vector<int64_t> codes;
  for (size_t i = 0; i < base.codes.size(); ++i) {
    const float scale = scales.size() == 1 ? scales[0] : scales[i];
    const float ratio = maybe_approximate(scale / base.scale.scale, approximate_bits);
    const float shifted = base.codes[i] + base.scale.zero_point;
    codes.push_back(bias_code(std::nearbyint(shifted * ratio), accumulator_bits, compat));
  }
  return codes;
}

float requantize_ratio(float ofmap_scale, float accumulator_scale,
                       std::optional<int> approximate_bits) {
  return maybe_approximate(ofmap_scale / accumulator_scale, approximate_bits);
}

float linear_requantize(float accumulator, float ratio, const LinearScale& ofmap,
                        const CodeRange& codes) {
  const float scaled = accumulator * ratio;
  return std::clamp(std::nearbyint(scaled - ofmap.zero_point), codes.q_min, codes.q_max);
}

float operand_ratio(float ofmap_scale, float operand_scale, std::optional<int> approximate_bits,
                    Compat compat) {
  const float ratio = ofmap_scale / operand_scale;
  return compat == Compat::kDistiller03 ? maybe_approximate(ratio, approximate_bits) : ratio;
}

float rescaled_operand(float q, const LinearScale& operand, float ratio) {
  const CodeRange range = accumulator_range(32);
  const float shifted = q + operand.zero_point;
  return std::clamp(std::nearbyint(shifted * ratio), range.q_min, range.q_max);
}

float concatenated_operand(float q, const LinearScale& operand, float ratio,
                           const LinearScale& ofmap, const CodeRange& codes) {
  const float shifted = q + operand.zero_point;
  return linear_requantize(shifted, ratio, ofmap, codes);
}

std::vector<float> dequantized(const QuantizedWeights& weights) {
  const size_t each = weights.codes.size() / weights.quantization.scales.size();
  std::vector<float> values;
  for (size_t i = 0; i < weights.codes.size(); ++i)
    values.push_back(
        linear_dequantize(static_cast<float>(weights.codes[i]), weights.quantization.at(i / each)));
  return values;
}

}  // namespace widthwise
