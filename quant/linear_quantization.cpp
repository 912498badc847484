#include "quant/linear_quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace widthwise {
namespace {

float power_of_two(int exponent) { return std::ldexp(1.0F, exponent); }

// n of the scale's numerator; half steps for full-range symmetric modes.
float steps(int bits, QuantizationMode mode, Compat compat) {
  const double all = std::ldexp(1.0, bits) - 1, half = std::ldexp(1.0, bits - 1) - 1;
  switch (mode) {
    case QuantizationMode::kSymmetric:
      return static_cast<float>(compat == Compat::kDistiller03 ? half : all / 2);
    case QuantizationMode::kSymmetricRestricted:
      return static_cast<float>(half);
    default:
      return static_cast<float>(all);
  }
}

}  // namespace

const char* mode_name(QuantizationMode mode) {
  switch (mode) {
    case QuantizationMode::kSymmetric:
      return "sym";
    case QuantizationMode::kSymmetricRestricted:
      return "sym_restr";
    case QuantizationMode::kAsymmetricUnsigned:
      return "asym_u";
    default:
      return "asym_s";
  }
}

const char* clipping_name(Clipping clipping) {
  constexpr const char* kNames[] = {"none",    "avg",        "n_std", "gauss",
                                    "laplace", "percentile", "kl",    "mse"};
  return kNames[static_cast<size_t>(clipping)];
}

bool is_symmetric(QuantizationMode mode) {
  return mode == QuantizationMode::kSymmetric || mode == QuantizationMode::kSymmetricRestricted;
}

CodeRange code_range(int bits, QuantizationMode mode, Compat) {
  const float half = power_of_two(bits - 1);
  switch (mode) {
    case QuantizationMode::kAsymmetricUnsigned:
      return {0, power_of_two(bits) - 1};
    case QuantizationMode::kSymmetricRestricted:
      return {-(half - 1), half - 1};
    default:
      return {-half, half - 1};
  }
}

LinearScale scale_of_range(const RealRange& range, int bits, QuantizationMode mode, Compat compat) {
  if (!std::isfinite(range.low) || !std::isfinite(range.high) || range.low > range.high)
    throw std::invalid_argument(fmt::format("make no range: {} to {}", range.low, range.high));
  const float n = steps(bits, mode, compat);
  const bool symmetric = is_symmetric(mode);
  const float low = std::min(range.low, 0.0F), high = std::max(range.high, 0.0F);
  const float width = symmetric ? std::max(std::abs(range.low), std::abs(range.high)) : high - low;
  LinearScale result;
  if (width != 0) {
    const float reciprocal = 1 / width;
    if (std::isfinite(reciprocal * n)) result.scale = reciprocal * n;
  }
  if (!symmetric) {
    result.zero_point = std::nearbyint(result.scale * low);
    if (mode == QuantizationMode::kAsymmetricSigned) result.zero_point += power_of_two(bits - 1);
  }
  return result;
}

float linear_quantize(float x, const LinearScale& scale, const CodeRange& codes) {
  const float scaled = scale.scale * x;
  return std::clamp(std::nearbyint(scaled - scale.zero_point), codes.q_min, codes.q_max);
}

float linear_dequantize(float q, const LinearScale& scale) {
  const float sum = q + scale.zero_point;
  return sum / scale.scale;
}

ScaleApproximation approximate_scale(float scale, int bits) {
  ScaleApproximation result;
  const float reciprocal = 1 / scale;
  const float most = reciprocal * (power_of_two(bits) - 1);
  result.shift = static_cast<int>(std::floor(std::log2(most)));
  result.multiplier = std::floor(scale * power_of_two(result.shift));
  result.value = result.multiplier / power_of_two(result.shift);
  return result;
}

}  // namespace widthwise
