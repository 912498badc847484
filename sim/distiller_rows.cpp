#include <algorithm>
#include <cmath>

#include "sim/distiller_runner.h"

namespace widthwise {
namespace {

// Half to even by the addition's own rounding, which vectorizes: |x| <= 2^22, where float32's step
// at 1.5 * 2^23 + x is 1.
constexpr float kReach = 4194304, kMiddle = 12582912;
constexpr int kFastBits = 20;
float rounded(float x) { return (x + kMiddle) - kMiddle; }

}  // namespace

void ClippingCounts::merge(const ClippingCounts& other) {
  outputs += other.outputs;
  clipped_low += other.clipped_low;
  clipped_high += other.clipped_high;
  inputs += other.inputs;
  inputs_clipped += other.inputs_clipped;
  accumulators_saturated += other.accumulators_saturated;
}

void requantize_row(std::span<const int32_t> accumulators, float ratio, const LinearScale& ofmap,
                    const LinearQuantization& q, int32_t* codes, ClippingCounts& counts) {
  const float zero_point = ofmap.zero_point, low = q.codes.q_min, high = q.codes.q_max;
  const size_t count = accumulators.size();
  const int32_t* const from = accumulators.data();
  int32_t below = 0, above = 0;
  if (q.bits <= kFastBits) {
    for (size_t i = 0; i < count; ++i) {
      const float scaled = static_cast<float>(from[i]) * ratio - zero_point;
      const float code = rounded(std::min(std::max(scaled, -kReach), kReach));
      below += code < low;
      above += code > high;
      codes[i] = static_cast<int32_t>(std::min(std::max(code, low), high));
    }
  } else {
    for (size_t i = 0; i < count; ++i) {
      const float code = std::nearbyint(static_cast<float>(from[i]) * ratio - zero_point);
      below += code < low;
      above += code > high;
      codes[i] = static_cast<int32_t>(std::min(std::max(code, low), high));
    }
  }
  counts.outputs += static_cast<int64_t>(count);
  counts.clipped_low += below;
  counts.clipped_high += above;
}

void rescale_row(std::span<const int32_t> codes, const LinearScale& operand, float ratio,
                 float* rescaled) {
  const float zero_point = operand.zero_point;
  const size_t count = codes.size();
  float greatest = 0;
  for (size_t i = 0; i < count; ++i) {
    const float shifted = static_cast<float>(codes[i]) + zero_point;
    rescaled[i] = shifted * ratio;
    greatest = std::max(greatest, std::abs(rescaled[i]));
  }
  if (greatest <= kReach) {
    for (size_t i = 0; i < count; ++i) rescaled[i] = rounded(rescaled[i]);
  } else {
    for (size_t i = 0; i < count; ++i)
      rescaled[i] = rescaled_operand(static_cast<float>(codes[i]), operand, ratio);
  }
}

Clipped quantize_row(std::span<const float> values, const LinearScale& scale,
                     const LinearQuantization& q, int32_t* codes) {
  const float factor = scale.scale, zero_point = scale.zero_point, low = q.codes.q_min,
              high = q.codes.q_max;
  const size_t count = values.size();
  const float* const from = values.data();
  int32_t below = 0, above = 0;
  if (q.bits <= kFastBits) {
    for (size_t i = 0; i < count; ++i) {
      const float scaled = factor * from[i] - zero_point;
      const float code = rounded(std::min(std::max(scaled, -kReach), kReach));
      below += code < low;
      above += code > high;
      codes[i] = static_cast<int32_t>(std::min(std::max(code, low), high));
    }
  } else {
    for (size_t i = 0; i < count; ++i) {
      const float code = std::nearbyint(factor * from[i] - zero_point);
      below += code < low;
      above += code > high;
      codes[i] = static_cast<int32_t>(std::min(std::max(code, low), high));
    }
  }
  return {below, above};
}

}  // namespace widthwise
