// Ranges of activations against what they minimize, by brute force, and against samples of the
// distributions that they suppose.
#include "quant/activation_range.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "quant/weight_range.h"
#include "tests/quant/quant_support.h"

namespace widthwise {
namespace {

using namespace testing_support;
using testing::HasSubstr;

TEST(OptimalClipping, IsTheTableOfTheSource) {  // 2..8 bits, to its two or three digits
  const double laplace[] = {2.83, 3.89, 5.03, 6.2, 7.41, 8.64, 9.89};
  const double laplace_half[] = {3.89, 5.02, 6.2, 7.41, 8.64, 9.89, 11.16};
  const double gauss[] = {1.71, 2.15, 2.55, 2.93, 3.28, 3.61, 3.92};
  const double gauss_half[] = {2.15, 2.55, 2.93, 3.28, 3.61, 3.92, 4.2};
  for (int bits = 2; bits <= 8; ++bits) {
    const auto i = static_cast<size_t>(bits - 2);
    EXPECT_NEAR(optimal_clipping(Clipping::kLaplace, bits, false), laplace[i], 0.02) << bits;
    EXPECT_NEAR(optimal_clipping(Clipping::kLaplace, bits, true), laplace_half[i], 0.02) << bits;
    EXPECT_NEAR(optimal_clipping(Clipping::kGauss, bits, false), gauss[i], 0.02) << bits;
    EXPECT_NEAR(optimal_clipping(Clipping::kGauss, bits, true), gauss_half[i], 0.02) << bits;
  }
}

TEST(OptimalClipping, MakesTheExpectedErrorLeast) {
  for (int bits = 2; bits <= 8; ++bits) {
    for (const bool half : {false, true}) {
      const double noise = 1 / ((half ? 12 : 3) * std::pow(4.0, bits));
      const auto laplace = [&](double t) { return 2 * std::exp(-t) + t * t * noise; };
      const auto gauss = [&](double t) {
        return (1 + t * t) * std::erfc(t / std::sqrt(2.0)) -
               t * std::sqrt(2 / M_PI) * std::exp(-t * t / 2) + t * t * noise;
      };
      const double l = optimal_clipping(Clipping::kLaplace, bits, half),
                   g = optimal_clipping(Clipping::kGauss, bits, half);
      for (const double d : {-0.01, 0.01}) {
        EXPECT_LT(laplace(l), laplace(l + d));
        EXPECT_LT(gauss(g), gauss(g + d));
      }
    }
  }
}

// Statistics of values, as calibrate() makes them.
TensorStatistics statistics_of(const std::vector<double>& values) {
  TensorStatistics s;
  const auto n = static_cast<double>(values.size());
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  s.min = *low;
  s.max = *high;
  s.avg_min = 0.5 * s.min;
  s.avg_max = 0.5 * s.max;
  double mean = 0, square = 0, b = 0;
  for (const double x : values) mean += x / n;
  for (const double x : values) square += (x - mean) * (x - mean) / n;
  for (const double x : values) b += std::abs(x - mean) / n;
  s.mean = mean;
  s.std = std::sqrt(square);
  s.b = b;
  s.histogram = Histogram{s.min, s.max, std::vector<int64_t>(2048)};
  for (const double x : values) {
    const auto bin = static_cast<size_t>((x - s.min) / (s.max - s.min) * 2048);
    ++s.histogram->counts[std::min<size_t>(bin, 2047)];
  }
  return s;
}

std::vector<double> samples(bool laplace, bool relu, double mean = 0) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal(0, 1.5);
  std::exponential_distribution<double> exponential(1 / 1.5);
  std::vector<double> values(200000);
  for (double& x : values) {
    x = mean + (laplace ? exponential(random) * (random() % 2 == 0 ? 1 : -1) : normal(random));
    if (relu) x = std::max(x, 0.0);
  }
  return values;
}

double error_of(const std::vector<double>& values, const RealRange& range, IntegerFormat format,
                Symmetry symmetry) {
  const TensorQuantization q = range_quantization(range.low, range.high, format, symmetry, false);
  double sum = 0;
  for (const double x : values) {
    const int32_t code = quantize_value(static_cast<float>(x), q);
    const double e = x - static_cast<double>(q.scale) * (code - q.zero_point);
    sum += e * e;
  }
  return sum;
}

RealRange range_of(const TensorStatistics& s, Clipping clipping, IntegerFormat format,
                   Symmetry symmetry, double parameter = 99) {
  return activation_range(s, {.clipping = clipping, .n_stds = 2, .percentile = parameter}, format,
                          symmetry, false);
}

TEST(ActivationRange, AciqFindsTheScaleOfWholeAndHalfDistributions) {
  constexpr IntegerFormat kFormat{4, false};
  for (const bool laplace : {false, true}) {
    const Clipping clipping = laplace ? Clipping::kLaplace : Clipping::kGauss;
    const RealRange whole = range_of(statistics_of(samples(laplace, false, 0.5)), clipping, kFormat,
                                     Symmetry::kAsymmetric);
    const double reach = 1.5 * optimal_clipping(clipping, 4, false);
    EXPECT_NEAR(static_cast<double>(whole.low), 0.5 - reach, 0.05 * reach);
    EXPECT_NEAR(static_cast<double>(whole.high), 0.5 + reach, 0.05 * reach);
    const RealRange half =
        range_of(statistics_of(samples(laplace, true)), clipping, kFormat, Symmetry::kAsymmetric);
    EXPECT_EQ(half.low, 0);
    EXPECT_NEAR(static_cast<double>(half.high), 1.5 * optimal_clipping(clipping, 4, true), 0.1);
  }
}

TEST(ActivationRange, AciqIsNearTheLeastErrorOfItsDistribution) {
  for (const bool laplace : {false, true}) {
    for (const bool relu : {false, true}) {
      for (const int bits : {2, 3, 4, 6, 8}) {
        const IntegerFormat format{bits, false};
        const std::vector<double> values = samples(laplace, relu);
        const TensorStatistics s = statistics_of(values);
        const double least =
            error_of(values, range_of(s, Clipping::kMse, format, Symmetry::kAsymmetric), format,
                     Symmetry::kAsymmetric);
        const double found = error_of(values,
                                      range_of(s, laplace ? Clipping::kLaplace : Clipping::kGauss,
                                               format, Symmetry::kAsymmetric),
                                      format, Symmetry::kAsymmetric);
        // Uniform rounding noise is a coarse picture of 4 levels.
        EXPECT_LT(found, (bits < 4 ? 1.35 : 1.15) * least) << laplace << relu << bits;
      }
    }
  }
}

TEST(ActivationRange, MseIsNoWorseThanAnyOtherRange) {
  for (const Symmetry symmetry :
       {Symmetry::kAsymmetric, Symmetry::kSymmetric, Symmetry::kSymmetricFull}) {
    for (const bool relu : {false, true}) {
      const std::vector<double> values = samples(true, relu, 0.3);
      const TensorStatistics s = statistics_of(values);
      const IntegerFormat format{4, true};
      const double least =
          error_of(values, range_of(s, Clipping::kMse, format, symmetry), format, symmetry);
      for (int part = 5; part <= 100; part += 5) {
        const float f = static_cast<float>(part) / 100;
        const RealRange other{f * static_cast<float>(s.min), f * static_cast<float>(s.max)};
        EXPECT_LE(least, 1.01 * error_of(values, other, format, symmetry)) << part;
      }
    }
  }
}

TEST(ActivationRange, OfMomentsAndPercentiles) {
  constexpr IntegerFormat kFormat{8, false};
  const TensorStatistics s = statistics_of(samples(false, false));
  const auto at = [&](Clipping clipping) {
    return range_of(s, clipping, kFormat, Symmetry::kAsymmetric);
  };
  EXPECT_EQ(at(Clipping::kNone).low, static_cast<float>(s.min));
  EXPECT_EQ(at(Clipping::kAverage).high, static_cast<float>(*s.avg_max));
  EXPECT_NEAR(at(Clipping::kNStd).high, 3, 0.05);          // 2 * 1.5
  EXPECT_NEAR(at(Clipping::kPercentile).high, 3.86, 0.1);  // 2.576 sigma
  EXPECT_NEAR(at(Clipping::kPercentile).low, -3.86, 0.1);
  const RealRange positive = range_of(statistics_of(samples(false, true)), Clipping::kPercentile,
                                      kFormat, Symmetry::kAsymmetric);
  EXPECT_NEAR(positive.high, 3.49, 0.1);  // 2.326 sigma: 1 % of all above
  EXPECT_EQ(positive.low, 0);
}

// The definition, with both distributions written out.
int64_t plain_kl_bins(const std::vector<int64_t>& counts, int64_t codes) {
  int64_t best = std::ssize(counts);
  double least = 1e300;
  for (int64_t kept = codes; kept <= std::ssize(counts); ++kept) {
    std::vector<double> p(counts.begin(), counts.begin() + kept), q(p.size(), 0);
    for (int64_t code = 0; code < codes; ++code) {
      double sum = 0, filled = 0;
      const auto first = static_cast<size_t>(code * kept / codes),
                 end = static_cast<size_t>((code + 1) * kept / codes);
      for (size_t i = first; i < end; ++i) {
        sum += p[i];
        filled += p[i] > 0 ? 1 : 0;
      }
      for (size_t i = first; i < end; ++i) q[i] = p[i] > 0 ? sum / filled : 0;
    }
    const auto last = std::find_if(p.rbegin(), p.rend(), [](double own) { return own > 0; });
    if (last == p.rend()) continue;
    for (size_t i = static_cast<size_t>(kept); i < counts.size(); ++i)
      *last += static_cast<double>(counts[i]);
    double p_sum = 0, q_sum = 0, divergence = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      p_sum += p[i];
      q_sum += q[i];
    }
    for (size_t i = 0; i < p.size(); ++i) {
      if (p[i] > 0) divergence += p[i] / p_sum * std::log(p[i] / p_sum / (q[i] / q_sum));
    }
    if (divergence < least) {
      least = divergence;
      best = kept;
    }
  }
  return best;
}

TEST(ActivationRange, KlIsTheDefinition) {
  std::mt19937 random(9);
  for (int trial = 0; trial < 30; ++trial) {
    std::vector<int64_t> counts(200);
    for (size_t i = 0; i < counts.size(); ++i) {
      const double tail = 5000 * std::exp(-static_cast<double>(i) / (5 + trial));
      counts[i] = static_cast<int64_t>(random() % (static_cast<uint32_t>(tail) + 2));
    }
    for (const int64_t codes : {8, 16, 128})
      EXPECT_EQ(kl_bins(counts, codes), plain_kl_bins(counts, codes)) << trial << ' ' << codes;
  }
}

TEST(ActivationRange, KlCutsOffATailThatMeansLittle) {
  std::vector<double> values = samples(false, true);
  values.push_back(60);  // one outlier
  const RealRange range =
      range_of(statistics_of(values), Clipping::kKl, {8, false}, Symmetry::kAsymmetric);
  EXPECT_GT(range.high, 3);
  EXPECT_LT(range.high, 12);
}

// No value is below half the greatest: the first bins are empty.
TEST(ActivationRange, KlKeepsValuesThatLieFarFromZero) {
  std::mt19937 random(5);
  for (const double least : {0.1, 0.3, 0.5, 0.9}) {
    for (const int bits : {4, 8}) {
      std::vector<double> values(20000);
      for (double& x : values)
        x = least + (1 - least) * static_cast<double>(random() % 10000) / 10000;
      const IntegerFormat format{bits, false};
      const RealRange range =
          range_of(statistics_of(values), Clipping::kKl, format, Symmetry::kAsymmetric);
      EXPECT_GT(range.high, 0.9) << least;
      const double whole = error_of(values, {0, 1}, format, Symmetry::kAsymmetric);
      EXPECT_LT(error_of(values, range, format, Symmetry::kAsymmetric), 3 * whole + 1);
    }
  }
}

TEST(ActivationRange, LackingStatisticsAreNamed) {
  TensorStatistics s{.min = -1, .max = 1};
  for (const auto& [clipping, what] : {std::pair{Clipping::kAverage, "have no avg_"},
                                       {Clipping::kNStd, "have no std"},
                                       {Clipping::kLaplace, "have no b"},
                                       {Clipping::kMse, "have no histogram"}}) {
    try {
      range_of(s, clipping, {8, false}, Symmetry::kAsymmetric);
      ADD_FAILURE() << what;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr(what));
    }
  }
}

TEST(WeightRange, MseIsTheBestOfItsParts) {
  std::vector<float> weights;
  for (const double x : samples(true, false)) {
    if (weights.size() < 300) weights.push_back(static_cast<float>(x));
  }
  const float most = *std::max_element(weights.begin(), weights.end(),
                                       [](float a, float b) { return std::abs(a) < std::abs(b); });
  for (const int bits : {2, 4, 8}) {
    const IntegerFormat format{bits, true};
    const auto error = [&](const TensorQuantization& q) {
      double sum = 0;
      for (const float w : weights) {
        const int32_t code = std::max(quantize_value(w, q), -static_cast<int32_t>(format.max()));
        sum += std::pow(static_cast<double>(w - q.scale * static_cast<float>(code)), 2);
      }
      return sum;
    };
    double least = 1e300;
    for (int part = 25; part <= 100; ++part) {
      const float reach = std::abs(most) * static_cast<float>(part) / 100;
      least = std::min(
          least, error(range_quantization(-reach, reach, format, Symmetry::kSymmetric, false)));
    }
    const TensorQuantization found = weight_quantization(
        weights, {.clipping = WeightClipping::kMse}, format, Symmetry::kSymmetric, false);
    EXPECT_NEAR(error(found), least, 1e-4 * least) << bits;
  }
}

TEST(WeightRange, PercentileLeavesTheGreatestOut) {
  std::vector<float> weights;
  for (int i = 1; i <= 100; ++i) weights.push_back(static_cast<float>(i % 2 == 0 ? i : -i));
  const WeightRange choice{.clipping = WeightClipping::kPercentile, .percentile = 98};
  EXPECT_FLOAT_EQ(
      weight_quantization(weights, choice, {8, true}, Symmetry::kSymmetric, false).scale,
      98.0F / 127);  // without 99 and 100
  EXPECT_FLOAT_EQ(
      weight_quantization(weights, choice, {8, false}, Symmetry::kAsymmetric, false).scale,
      (98 + 97) / 255.0F);  // without -99 and 100
}
// 100 - 90, of 10 values, is one of them; in double a little less.
TEST(WeightRange, PercentileCountsWholeWeights) {
  for (const auto& [count, percent, outside] :
       {std::tuple{10, 90.0, 1}, {100, 90.0, 10}, {10, 80.0, 2}, {1000, 99.9, 1}, {999, 99.9, 0}}) {
    std::vector<float> weights;
    for (int i = 1; i <= count; ++i) weights.push_back(static_cast<float>(i));
    const WeightRange choice{.clipping = WeightClipping::kPercentile, .percentile = percent};
    EXPECT_FLOAT_EQ(
        weight_quantization(weights, choice, {8, true}, Symmetry::kSymmetric, false).scale,
        static_cast<float>(count - outside) / 127)
        << count << ' ' << percent;
  }
}

}  // namespace
}  // namespace widthwise
