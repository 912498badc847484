#include "quant/activation_range.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>

namespace widthwise {
namespace {

// Half the derivative by t of the expected error of a unit distribution.
double error_slope(Clipping clipping, double t, double noise) {
  if (clipping == Clipping::kLaplace) return t / noise - std::exp(-t);
  return t / noise + t * std::erfc(t / std::numbers::sqrt2) -
         std::sqrt(2 / std::numbers::pi) * std::exp(-t * t / 2);
}

double middle(const Histogram& h, size_t bin) {
  const double width = (h.high - h.low) / static_cast<double>(h.counts.size());
  if (bin == 0 && h.low == 0) return 0;
  return h.low + (static_cast<double>(bin) + 0.5) * width;
}

// The value below which `share` of all lie; inside a bin they are spread evenly.
double quantile(const Histogram& h, double share) {
  int64_t all = 0;
  for (const int64_t count : h.counts) all += count;
  const double wanted = share * static_cast<double>(all);
  const double width = (h.high - h.low) / static_cast<double>(h.counts.size());
  double below = 0;
  for (size_t bin = 0; bin < h.counts.size(); ++bin) {
    const auto own = static_cast<double>(h.counts[bin]);
    if (own > 0 && below + own >= wanted)
      return h.low + (static_cast<double>(bin) + (wanted - below) / own) * width;
    below += own;
  }
  return h.high;
}

// Of |x|, in as many bins.
Histogram of_magnitudes(const Histogram& h) {
  Histogram out{0, std::max(std::abs(h.low), std::abs(h.high)), {}};
  out.counts.resize(h.counts.size());
  const double bins_per_unit = out.high > 0 ? static_cast<double>(h.counts.size()) / out.high : 0;
  for (size_t bin = 0; bin < h.counts.size(); ++bin) {
    const auto to = static_cast<size_t>(std::abs(middle(h, bin)) * bins_per_unit);
    out.counts[std::min(to, out.counts.size() - 1)] += h.counts[bin];
  }
  return out;
}

class RangeFinder {
 public:
  RangeFinder(const TensorStatistics& statistics, const ActivationRange& choice,
              IntegerFormat format, Symmetry symmetry, bool power_of_two)
      : s_(statistics),
        choice_(choice),
        format_(format),
        symmetry_(symmetry),
        power_of_two_(power_of_two),
        positive_(statistics.min >= 0) {}

  RealRange run() const {
    const RealRange range = unlimited();
    return {std::min(std::max(range.low, static_cast<float>(s_.min)), 0.0F),
            std::max(std::min(range.high, static_cast<float>(s_.max)), 0.0F)};
  }

 private:
  static RealRange real(double low, double high) {
    return {static_cast<float>(low), static_cast<float>(high)};
  }

  template <class T>
  const T& known(const std::optional<T>& value, const char* what) const {
    if (value) return *value;
    throw std::invalid_argument(std::string("have no ") + what + ", which '" +
                                clipping_name(choice_.clipping) + "' needs");
  }

  RealRange unlimited() const {
    switch (choice_.clipping) {
      case Clipping::kNone:
        return real(s_.min, s_.max);
      case Clipping::kAverage:
        return real(known(s_.avg_min, "avg_min"), known(s_.avg_max, "avg_max"));
      case Clipping::kNStd:
        return about_mean(choice_.n_stds * known(s_.std, "std"));
      case Clipping::kGauss:
      case Clipping::kLaplace:
        return aciq();
      case Clipping::kPercentile:
        return percentile();
      case Clipping::kKl:
        return kl();
      case Clipping::kMse:
        return least_squares();
    }
    return {};
  }

  // The mean and what a symmetric range has to reach from 0.
  RealRange about_mean(double reach) const {
    const double mean = known(s_.mean, "mean");
    return real(mean - reach, mean + reach);
  }

  RealRange aciq() const {
    const bool laplace = choice_.clipping == Clipping::kLaplace;
    const double factor =
        optimal_clipping(choice_.clipping, format_.bits,
                         positive_ && (symmetry_ == Symmetry::kAsymmetric || !format_.is_signed));
    if (!positive_) {
      const double spread = laplace ? known(s_.b, "b") : known(s_.std, "std");
      return about_mean(factor * spread);
    }
    const double mean = known(s_.mean, "mean"), std = known(s_.std, "std");
    if (!(mean > 0)) return {0, 0};
    const double square = mean * mean + std * std;
    const double spread =
        laplace ? square / (2 * mean) : std::sqrt(2 / std::numbers::pi) * square / mean;
    return real(0, factor * spread);
  }

  const Histogram& histogram() const { return known(s_.histogram, "histogram"); }

  RealRange percentile() const {
    const double outside = 1 - choice_.percentile / 100;
    if (positive_) return real(0, quantile(histogram(), 1 - outside));
    return real(quantile(histogram(), outside / 2), quantile(histogram(), 1 - outside / 2));
  }

  RealRange kl() const {
    Histogram magnitudes = of_magnitudes(histogram());
    // The zeros that a ReLU makes have a code of their own: as NVIDIA's pytorch-quantization does,
    // they do not count, or the range would shrink to set them apart.
    if (magnitudes.counts.size() > 1) magnitudes.counts[0] = magnitudes.counts[1];
    if (!(magnitudes.high > 0)) return {0, 0};
    const bool all_codes = positive_ && (symmetry_ == Symmetry::kAsymmetric || !format_.is_signed);
    const int64_t codes = int64_t{1} << (all_codes ? format_.bits : format_.bits - 1);
    const double threshold = magnitudes.high *
                             static_cast<double>(kl_bins(magnitudes.counts, codes)) /
                             static_cast<double>(magnitudes.counts.size());
    return real(-threshold, threshold);
  }

  double error(double low, double high) const {
    return squared_error(
        histogram(), range_quantization(static_cast<float>(low), static_cast<float>(high), format_,
                                        symmetry_, power_of_two_));
  }

  // Each end at one of kSteps parts of what it reaches: both together, then one after the other,
  // until nothing changes.
  RealRange least_squares() const {
    constexpr int kSteps = 200, kMostRounds = 4;
    double low = std::min(s_.min, 0.0), high = std::max(s_.max, 0.0);
    const bool symmetric = symmetry_ != Symmetry::kAsymmetric;
    if (symmetric) {
      high = std::max(-low, high);
      low = format_.is_signed ? -high : 0;
    }
    const double whole_low = low, whole_high = high;
    double best = error(low, high);
    const auto improve = [&](bool moves_low, bool moves_high) {
      const double kept_low = low, kept_high = high, before = best;
      for (int i = 1; i < kSteps; ++i) {
        const double part = static_cast<double>(i) / kSteps;
        const double try_low = moves_low ? whole_low * part : kept_low;
        const double try_high = moves_high ? whole_high * part : kept_high;
        const double found = error(try_low, try_high);
        if (found >= best) continue;
        best = found;
        low = try_low;
        high = try_high;
      }
      return best < before;
    };
    improve(true, true);
    if (symmetric || whole_low == 0) return real(low, high);
    for (int round = 0; round < kMostRounds; ++round) {
      const bool high_moved = improve(false, true), low_moved = improve(true, false);
      if (!high_moved && !low_moved) break;
    }
    return real(low, high);
  }

  const TensorStatistics& s_;
  const ActivationRange& choice_;
  IntegerFormat format_;
  Symmetry symmetry_;
  bool power_of_two_, positive_;
};

}  // namespace

double optimal_clipping(Clipping clipping, int bits, bool half) {
  const double noise = (half ? 12 : 3) * std::pow(4.0, bits);
  double low = 0, high = 64;  // the slope rises through 0 once
  for (int i = 0; i < 100; ++i) {
    const double t = (low + high) / 2;
    (error_slope(clipping, t, noise) < 0 ? low : high) = t;
  }
  return (low + high) / 2;
}

double squared_error(const Histogram& histogram, const TensorQuantization& q) {
  const double scale = static_cast<double>(q.scale);
  const auto low = static_cast<double>(q.format.min() - q.zero_point),
             high = static_cast<double>(q.format.max() - q.zero_point);
  double sum = 0;
  for (size_t bin = 0; bin < histogram.counts.size(); ++bin) {
    if (histogram.counts[bin] == 0) continue;
    const double x = middle(histogram, bin);
    const double error = x - scale * std::clamp(std::nearbyint(x / scale), low, high);
    sum += static_cast<double>(histogram.counts[bin]) * error * error;
  }
  return sum;
}

int64_t kl_bins(std::span<const int64_t> counts, int64_t codes) {
  const int64_t bins = std::ssize(counts);
  int64_t best = bins;
  double least = std::numeric_limits<double>::infinity(), all = 0;
  for (const int64_t count : counts) all += static_cast<double>(count);
  if (all == 0) return bins;
  // As Migacz's loop, which begins at 128 of 2048 bins: narrower ones that hold a single value are
  // one point in P and in Q, whatever lies outside.
  const int64_t fewest = std::max(codes, bins / 16);
  // Nor are thresholds below most values: what is left inside can be told apart by few codes, and
  // the divergence says nothing of the rest.
  constexpr double kLeastInside = 0.9;
  int64_t filled_bin = -1;
  double inside = 0;  // values below bin `kept`
  for (int64_t kept = 1; kept <= bins; ++kept) {
    const auto last = static_cast<double>(counts[static_cast<size_t>(kept - 1)]);
    inside += last;
    // Outliers join the last bin that has a share in Q: pixels leave most bins empty.
    if (last > 0) filled_bin = kept - 1;
    if (kept < fewest || inside < kLeastInside * all) continue;
    // P: the clipped histogram. Q: every code's share, spread evenly over those of its
    // bins that are not empty.
    double divergence = 0, expanded = 0;
    for (int64_t code = 0; code < codes; ++code) {
      const int64_t first = code * kept / codes, end = (code + 1) * kept / codes;
      double sum = 0, filled = 0;
      for (int64_t bin = first; bin < end; ++bin) {
        const auto own = static_cast<double>(counts[static_cast<size_t>(bin)]);
        sum += own;
        filled += own > 0;
      }
      expanded += sum;
      for (int64_t bin = first; bin < end; ++bin) {
        auto p = static_cast<double>(counts[static_cast<size_t>(bin)]);
        if (bin == filled_bin) p += all - inside;
        if (p == 0) continue;
        divergence += p / all * std::log(p * filled / sum);
      }
    }
    if (expanded == 0) continue;
    divergence += std::log(expanded / all);  // of shares, not of counts
    if (divergence < least) {
      least = divergence;
      best = kept;
    }
  }
  return best;
}

RealRange activation_range(const TensorStatistics& statistics, const ActivationRange& choice,
                           IntegerFormat format, Symmetry symmetry, bool power_of_two_scale) {
  return RangeFinder(statistics, choice, format, symmetry, power_of_two_scale).run();
}

}  // namespace widthwise
