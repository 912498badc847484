#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "quant/clipping.h"
#include "quant/linear_quantization.h"

namespace widthwise {

// The integer datapath of Distiller's quantized layers, one scalar operation after the other, in
// its arithmetic (see linear_quantization.h); sums are integers here, where the original adds
// float32 and loses what is beyond 2^24.
//
//   acc = sum (x_q + z_x) * (w_q + z_w) + b_q      a padded tap is 0
//   acc is clamped once, complete, to accumulator_bits; then a fused ReLU is max(acc, 0)
//   y_q = clamp(rne(acc * r - z_y)), r = s_y / (s_x * s_w)

// How an activation is quantized.
struct ActivationSettings {
  int bits = 8;
  QuantizationMode mode = QuantizationMode::kSymmetric;
  ClippingChoice clip;
  std::optional<int> approximate_bits;  // the scale becomes approximate_scale() of it
  Compat compat = Compat::kDistiller04;
};
// Static, and of a tensor [samples, ...] at hand. The zero point stays that of the exact scale.
// Compat::kNone: what is never negative has unsigned codes in symmetric modes, too, with zero point
// 0; statistics with a histogram may be clipped by kPercentile, kKl and kMse, too. Throws
// std::invalid_argument that says what the statistics lack, or that they make no range.
LinearQuantization activation_quantization(const ActivationSettings& settings,
                                           const TensorStatistics& statistics);
LinearQuantization activation_quantization(const ActivationSettings& settings,
                                           std::span<const float> values, int64_t samples);

// The record of a ReLU or ReLU6 that is quantized by itself: gauss and laplace are of what it
// reads, so that mean, std and b are its input's, and of a half range.
TensorStatistics relu_statistics(const TensorStatistics& input, const TensorStatistics& output,
                                 Clipping clipping);

// How a layer quantizes an input that brings no quantization of its own: as its output, but for the
// half range, which is the output's. kDistiller04 keeps that, too, where ranges are static, and so
// cuts off half of a signed input.
ActivationSettings fallback_settings(const ActivationSettings& ofmap, bool dynamic);

// Codes of weights [ofmap channels, ...]: range of the whole, or of each channel.
struct QuantizedWeights {
  LinearQuantization quantization;
  std::vector<int32_t> codes;
};
QuantizedWeights quantize_weights(std::span<const float> weights, int64_t ofmap_channels, int bits,
                                  QuantizationMode mode, bool per_channel, Compat compat);

// Weights beside which a bias would leave 32 bits get the scale of step_with_room()
// (quant/weight_range.h).
void make_room_for_bias(std::span<const float> weights, std::span<const float> bias,
                        const LinearScale& ifmap, const LinearQuantization& ofmap,
                        QuantizedWeights& quantized);

// s_x * s_w, approximated but for kDistiller03.
std::vector<float> accumulator_scales(const LinearScale& ifmap, const LinearQuantization& weight,
                                      std::optional<int> approximate_bits, Compat compat);

// Least and greatest value of a signed accumulator.
CodeRange accumulator_range(int bits);

// Bias in units of the accumulator, clamped to it; of kNone to 2^62, because the complete sum is
// what does not fit then.
//   static:  rne(b * accumulator scale)
//   dynamic: first quantized by itself, symmetric with accumulator_bits (kDistiller03: with the
//            weights' bits and mode), then rescaled; that ratio is approximated
std::vector<int64_t> static_bias(std::span<const float> bias, const std::vector<float>& scales,
                                 int accumulator_bits, Compat compat);
struct BaseBias {
  LinearScale scale;
  std::vector<float> codes;
};
BaseBias dynamic_base_bias(std::span<const float> bias, int accumulator_bits, int weight_bits,
                           QuantizationMode weight_mode, Compat compat);
std::vector<int64_t> dynamic_bias(const BaseBias& base, const std::vector<float>& scales,
                                  int accumulator_bits, std::optional<int> approximate_bits,
                                  Compat compat);

// r of the requantization.
float requantize_ratio(float ofmap_scale, float accumulator_scale,
                       std::optional<int> approximate_bits);
// clamp(rne(acc * r - z_y)).
float linear_requantize(float accumulator, float ratio, const LinearScale& ofmap,
                        const CodeRange& codes);

// An operand of an addition or a concatenation in units of its result, 32 bits:
// rne((q + z) * ratio), ratio = s_y / s. The sum, clamped to 32 bits and less z_y, is the code.
// kDistiller03 approximates the ratio, and its concatenation is at once the code.
float operand_ratio(float ofmap_scale, float operand_scale, std::optional<int> approximate_bits,
                    Compat compat);
float rescaled_operand(float q, const LinearScale& operand, float ratio);
float concatenated_operand(float q, const LinearScale& operand, float ratio,
                           const LinearScale& ofmap, const CodeRange& codes);  // of kDistiller03

// DequantizeLinear of weights.
std::vector<float> dequantized(const QuantizedWeights& weights);

}  // namespace widthwise
