#include "quant/weight_range.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace widthwise {
namespace {

struct Ends {
  float low, high;
};

Ends all_of(std::span<const float> weights) {
  const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
  return {std::min(*low, 0.0F), std::max(*high, 0.0F)};
}

Ends percentile(std::span<const float> weights, double percent, bool symmetric) {
  std::vector<float> sorted(weights.begin(), weights.end());
  if (symmetric) {
    for (float& w : sorted) w = std::abs(w);
  }
  std::sort(sorted.begin(), sorted.end());
  const double outside = (100 - percent) * static_cast<double>(sorted.size()) / 100;
  constexpr double kRounding = 1e-6;  // of a weight: 100 - 99.9 is a little less than 0.1
  const auto cut = static_cast<size_t>((symmetric ? outside : outside / 2) + kRounding);
  const float high = std::max(sorted[sorted.size() - 1 - std::min(cut, sorted.size() - 1)], 0.0F);
  return symmetric ? Ends{-high, high}
                   : Ends{std::min(sorted[std::min(cut, sorted.size() - 1)], 0.0F), high};
}

}  // namespace

int32_t least_weight_code(IntegerFormat format, Symmetry symmetry) {
  const bool restricted = symmetry == Symmetry::kSymmetric && format.is_signed;
  return static_cast<int32_t>(restricted ? -format.max() : format.min());
}

std::optional<float> step_with_room(std::span<const float> biases, float ifmap_step, float step,
                                    float reach) {
  float greatest = 0;
  for (const float b : biases) greatest = std::max(greatest, std::abs(b));
  const float roomy = std::ldexp(greatest, -30) / ifmap_step;
  if (step >= roomy / 2 || !std::isfinite(roomy)) return std::nullopt;
  if (biases.size() > 1 && greatest > reach) return std::nullopt;
  return roomy;
}

TensorQuantization weight_quantization(std::span<const float> weights, const WeightRange& choice,
                                       IntegerFormat format, Symmetry symmetry,
                                       bool power_of_two_scale) {
  const auto of = [&](const Ends& ends) {
    return range_quantization(ends.low, ends.high, format, symmetry, power_of_two_scale);
  };
  const Ends all = all_of(weights);
  if (choice.clipping == WeightClipping::kPercentile)
    return of(percentile(weights, choice.percentile, symmetry != Symmetry::kAsymmetric));
  TensorQuantization best = of(all);
  if (choice.clipping == WeightClipping::kMinMax) return best;
  const auto error = [&](const TensorQuantization& q) {
    const int32_t least = least_weight_code(format, symmetry);
    double sum = 0;
    for (const float w : weights) {
      const int32_t code = std::max(quantize_value(w, q), least);
      const double e = static_cast<double>(w) -
                       static_cast<double>(q.scale) * static_cast<double>(code - q.zero_point);
      sum += e * e;
    }
    return sum;
  };
  constexpr int kParts = 100, kLeastPart = 25;
  double least = error(best);
  for (int part = kParts - 1; part >= kLeastPart; --part) {
    const float f = static_cast<float>(part) / kParts;
    const TensorQuantization q = of({all.low * f, all.high * f});
    const double found = error(q);
    if (found >= least) continue;
    least = found;
    best = q;
  }
  return best;
}

}  // namespace widthwise
