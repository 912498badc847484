#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quant/quantize.h"

namespace widthwise {
namespace {

// Exact: a float logarithm would take a scale just above a power of two down to it.
float up_to_power_of_two(float scale) {
  int exponent = 0;
  return std::frexp(scale, &exponent) == 0.5F ? scale : std::ldexp(1.0F, exponent);
}

}  // namespace

TensorQuantization range_quantization(float min, float max, IntegerFormat format, Symmetry symmetry,
                                      bool power_of_two_scale) {
  min = std::min(min, 0.0F);
  max = std::max(max, 0.0F);
  TensorQuantization q{.format = format};
  const bool asymmetric = symmetry == Symmetry::kAsymmetric;
  const bool full = symmetry == Symmetry::kSymmetricFull && format.is_signed;
  const int64_t all = format.max() - format.min();
  const float steps =
      full ? static_cast<float>(all) / 2 : static_cast<float>(asymmetric ? all : format.max());
  const float range = asymmetric ? max - min : std::max(max, -min);
  q.scale = range / steps;
  if (!(q.scale > 0) || !std::isnormal(q.scale))
    q.scale = 1;  // a constant tensor, or one below float32's range
  if (power_of_two_scale) q.scale = up_to_power_of_two(q.scale);
  if (asymmetric) {
    const auto zero = format.min() - static_cast<int64_t>(std::nearbyint(min / q.scale));
    q.zero_point = static_cast<int32_t>(std::clamp(zero, format.min(), format.max()));
  }
  return q;
}

int32_t quantize_value(float value, const TensorQuantization& q) {
  constexpr float kLimit = 1e9F;  // far beyond any code, inside int64
  const auto rounded =
      static_cast<int64_t>(std::nearbyint(std::clamp(value / q.scale, -kLimit, kLimit)));
  return static_cast<int32_t>(std::clamp(rounded + q.zero_point, q.format.min(), q.format.max()));
}

}  // namespace widthwise
