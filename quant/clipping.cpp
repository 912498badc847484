#include "quant/clipping.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

namespace widthwise {
namespace {

using Factors = std::array<double, 8>;  // by bits, from 1
constexpr Factors kLaplaceFactors = {1.86, 2.83, 3.89, 5.03, 6.2, 7.41, 8.64, 9.89};
constexpr Factors kLaplaceHalfFactors = {2.83, 3.89, 5.02, 6.2, 7.41, 8.64, 9.89, 11.16};
constexpr Factors kGaussFactors = {1.24, 1.71, 2.15, 2.55, 2.93, 3.28, 3.61, 3.92};
constexpr Factors kGaussHalfFactors = {1.71, 2.15, 2.55, 2.93, 3.28, 3.61, 3.92, 4.2};

double known(const std::optional<double>& value, const char* name) {
  if (!value) throw std::invalid_argument(std::string("have no ") + name);
  return *value;
}

// Of numbers in float32; spread: std or b, times the factor, in double.
RealRange aciq_range(double mean, double spread, double least, const ClippingChoice& choice,
                     int bits, QuantizationMode mode) {
  const bool symmetric = is_symmetric(mode), half = choice.half_range && !symmetric;
  const auto a = static_cast<float>(spread * aciq_factor(choice.clipping, half, bits));
  const auto m = static_cast<float>(mean);
  if (symmetric) {
    const float high = std::abs(m) + a;
    return {-high, high};
  }
  const float low = std::max(static_cast<float>(least), m - a);
  return {low, low + (half ? a : 2 * a)};
}

RealRange n_std_range(float min, float max, float mean, float std, double n_stds) {
  const float reach = static_cast<float>(n_stds) * std;
  return {std::max(min, mean - reach), std::min(max, mean + reach)};
}

void check(const ClippingChoice& choice) {
  if (choice.clipping == Clipping::kNStd && !(choice.n_stds > 0))
    throw std::invalid_argument("n_std needs a number of standard deviations");
  if (choice.clipping > Clipping::kLaplace)
    throw std::invalid_argument(std::string(clipping_name(choice.clipping)) +
                                " is no clipping of Distiller's");
}

struct Moments {
  float mean, std, b;
};
// Two passes, in double.
Moments moments_of(std::span<const float> values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0, deviations = 0;
  for (const float x : values) sum += static_cast<double>(x);
  const double mean = sum / count;
  for (const float x : values) {
    const double deviation = static_cast<double>(x) - mean;
    squares += deviation * deviation;
    deviations += std::abs(deviation);
  }
  return {static_cast<float>(mean),
          static_cast<float>(std::sqrt(squares / std::max(count - 1, 1.0))),
          static_cast<float>(deviations / count)};
}

// Means in float32, as the original's.
RealRange average_range(std::span<const float> values, int64_t samples) {
  const size_t each = values.size() / static_cast<size_t>(samples);
  float low = 0, high = 0;
  for (int64_t i = 0; i < samples; ++i) {
    const auto own = values.subspan(static_cast<size_t>(i) * each, each);
    low += *std::min_element(own.begin(), own.end());
    high += *std::max_element(own.begin(), own.end());
  }
  const auto count = static_cast<float>(samples);
  return {low / count, high / count};
}

}  // namespace

double aciq_factor(Clipping clipping, bool half_range, int bits) {
  if (bits < 1 || bits > 8 || !is_aciq(clipping))
    throw std::invalid_argument("gauss and laplace are of 1..8 bits");
  const bool gauss = clipping == Clipping::kGauss;
  const Factors& factors = half_range ? (gauss ? kGaussHalfFactors : kLaplaceHalfFactors)
                                      : (gauss ? kGaussFactors : kLaplaceFactors);
  return factors[static_cast<size_t>(bits - 1)];
}

RealRange clipped_range(const TensorStatistics& s, const ClippingChoice& choice, int bits,
                        QuantizationMode mode) {
  check(choice);
  const auto single = [](double value) { return static_cast<float>(value); };
  switch (choice.clipping) {
    case Clipping::kNone:
      return {single(s.min), single(s.max)};
    case Clipping::kAverage:
      return {single(known(s.avg_min, "avg_min")), single(known(s.avg_max, "avg_max"))};
    case Clipping::kNStd: {
      const float mean = single(known(s.mean, "mean")), std = single(known(s.std, "std"));
      return n_std_range(single(s.min), single(s.max), mean, std, choice.n_stds);
    }
    default:
      return aciq_range(known(s.mean, "mean"),
                        choice.clipping == Clipping::kGauss ? known(s.std, "std") : known(s.b, "b"),
                        known(s.avg_min, "avg_min"), choice, bits, mode);
  }
}

RealRange clipped_range(std::span<const float> values, int64_t samples,
                        const ClippingChoice& choice, int bits, QuantizationMode mode) {
  check(choice);
  if (choice.clipping == Clipping::kAverage) return average_range(values, samples);
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  if (choice.clipping == Clipping::kNone) return {*least, *greatest};
  const Moments m = moments_of(values);
  if (choice.clipping == Clipping::kNStd)
    return n_std_range(*least, *greatest, m.mean, m.std, choice.n_stds);
  return aciq_range(
      static_cast<double>(m.mean),
      static_cast<double>(choice.clipping == Clipping::kGauss ? m.std : m.b),
      static_cast<double>(choice.per_channel ? average_range(values, samples).low : *least), choice,
      bits, mode);
}

}  // namespace widthwise
