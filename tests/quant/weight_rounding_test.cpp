// Rounding by a layer's output error: the recursion against a plain one, both against all codes.
#include "quant/weight_rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace widthwise {
namespace {

struct Problem {
  int64_t length = 0;
  std::vector<double> hessian, cross, weights;
  std::vector<std::vector<double>> x, y;
  TensorQuantization codes{{4, true}, 0.25F, 0};

  // Samples whose elements depend on each other, as neighbouring pixels do.
  Problem(uint32_t seed, int64_t n, int bits) : length(n) {
    codes.format.bits = bits;
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    constexpr int kSamples = 50;
    for (int s = 0; s < kSamples; ++s) {
      const double common = normal(random);
      std::vector<double> own(static_cast<size_t>(n)), noisy(own.size());
      for (size_t i = 0; i < own.size(); ++i) {
        own[i] = common + 0.5 * normal(random);
        noisy[i] = 0.9 * own[i] + 0.1 * normal(random);
      }
      x.push_back(own);
      y.push_back(noisy);
    }
    for (const auto& [from, to] : {std::pair{&y, &hessian}, {&x, &cross}}) {
      for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
        for (size_t j = 0; j < static_cast<size_t>(n); ++j) {
          double sum = 0;
          for (size_t s = 0; s < kSamples; ++s) sum += (*from)[s][i] * y[s][j];
          to->push_back(sum / kSamples);
        }
      }
    }
    const double reach = 0.25 * static_cast<double>(codes.format.max());
    for (int64_t i = 0; i < n; ++i)
      weights.push_back(std::clamp(reach * normal(random) / 2, -reach, reach));
  }
  int32_t least() const { return static_cast<int32_t>(codes.format.min()); }
  std::vector<int32_t> nearest() const {
    std::vector<int32_t> found;
    for (const double w : weights) found.push_back(quantize(w));
    return found;
  }
  int32_t quantize(double w) const {
    return static_cast<int32_t>(std::clamp(std::nearbyint(w / 0.25), double(codes.format.min()),
                                           double(codes.format.max())));
  }
};

// The least error of all codes.
double least_error(const Problem& p, const LeastErrorRounding& rounding) {
  std::vector<int32_t> codes(static_cast<size_t>(p.length), p.least());
  double least = std::numeric_limits<double>::infinity();
  while (true) {
    least = std::min(least, rounding.error(p.weights, p.codes, codes));
    size_t i = 0;
    while (i < codes.size() && codes[i] == p.codes.format.max()) codes[i++] = p.least();
    if (i == codes.size()) return least;
    ++codes[i];
  }
}

TEST(LeastErrorRounding, IsNearTheBestOfAllCodes) {
  double all_best = 0, all_found = 0, all_nearest = 0;
  int best_found = 0;
  constexpr uint32_t kProblems = 60;
  for (uint32_t seed = 0; seed < kProblems; ++seed) {
    const Problem p(seed, 5, 3);
    const LeastErrorRounding rounding(p.hessian, p.length);
    const double best = least_error(p, rounding);
    const double found =
        rounding.error(p.weights, p.codes, rounding.round(p.weights, p.codes, p.least()));
    EXPECT_GE(found, best * (1 - 1e-9));
    all_best += best;
    all_found += found;
    all_nearest += rounding.error(p.weights, p.codes, p.nearest());
    best_found += found < best * (1 + 1e-9);
  }
  EXPECT_LT(all_found, 1.15 * all_best);
  EXPECT_GT(all_nearest, 1.5 * all_found);
  EXPECT_GT(best_found, 40);
}

TEST(LeastErrorRounding, ErrorIsThatOfTheOutput) {
  const Problem p(3, 7, 4);
  const LeastErrorRounding rounding(p.hessian, p.length, 0.01);
  const std::vector<int32_t> codes = p.nearest();
  double sum = 0, trace = 0, squares = 0;
  for (const auto& sample : p.y) {
    double output = 0;
    for (size_t i = 0; i < sample.size(); ++i)
      output += (p.weights[i] - 0.25 * codes[i]) * sample[i];
    sum += output * output / static_cast<double>(p.y.size());
  }
  for (size_t i = 0; i < codes.size(); ++i) {
    trace += p.hessian[i * codes.size() + i];
    squares += std::pow(p.weights[i] - 0.25 * codes[i], 2);
  }
  EXPECT_NEAR(rounding.error(p.weights, p.codes, codes), sum + 0.01 * trace / 7 * squares, 1e-9);
}

TEST(LeastErrorRounding, IndependentValuesRoundToTheNearest) {
  Problem p(5, 6, 4);
  std::fill(p.hessian.begin(), p.hessian.end(), 0);
  for (size_t i = 0; i < 6; ++i) p.hessian[i * 7] = static_cast<double>(i + 1);
  EXPECT_EQ(LeastErrorRounding(p.hessian, 6).round(p.weights, p.codes, p.least()), p.nearest());
  std::fill(p.hessian.begin(), p.hessian.end(), 0);  // a constant ifmap
  EXPECT_EQ(LeastErrorRounding(p.hessian, 6).round(p.weights, p.codes, p.least()), p.nearest());
}

TEST(LeastErrorRounding, StaysInsideTheCodes) {
  Problem p(6, 6, 3);
  for (double& w : p.weights) w *= 4;
  for (const int32_t code : LeastErrorRounding(p.hessian, 6).round(p.weights, p.codes, -3)) {
    EXPECT_GE(code, -3);
    EXPECT_LE(code, 3);
  }
}

TEST(LeastErrorRounding, ZeroPointsCount) {
  const Problem p(8, 6, 4);
  const LeastErrorRounding rounding(p.hessian, 6);
  const std::vector<int32_t> plain = rounding.round(p.weights, p.codes, -8);
  const TensorQuantization moved{{4, false}, 0.25F, 8};
  const std::vector<int32_t> codes = rounding.round(p.weights, moved, 0);
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(codes[i], plain[i] + 8);
}

// No weights nearby give a smaller error; so the gradient is 0.
TEST(LeastErrorRounding, CompensationMakesTheErrorLeast) {
  const Problem p(9, 6, 4);
  constexpr double kDamping = 0.05;
  const LeastErrorRounding rounding(p.hessian, 6, kDamping);
  const std::vector<double> best = rounding.compensated(p.weights, p.cross);
  double trace = 0;
  for (size_t i = 0; i < 6; ++i) trace += p.hessian[i * 7];
  const auto error = [&](const std::vector<double>& w) {
    double sum = 0;
    for (size_t s = 0; s < p.x.size(); ++s) {
      double difference = 0;
      for (size_t i = 0; i < w.size(); ++i)
        difference += p.weights[i] * p.x[s][i] - w[i] * p.y[s][i];
      sum += difference * difference / static_cast<double>(p.x.size());
    }
    for (size_t i = 0; i < w.size(); ++i)
      sum += kDamping * trace / 6 * std::pow(p.weights[i] - w[i], 2);
    return sum;
  };
  const double least = error(best);
  EXPECT_LT(least, error(p.weights));
  for (size_t i = 0; i < best.size(); ++i) {
    for (const double d : {-1e-3, 1e-3}) {
      std::vector<double> other = best;
      other[i] += d;
      EXPECT_GT(error(other), least);
    }
  }
}

TEST(LeastErrorRounding, LongRowsAreFactorizedByManyThreads) {
  const Problem p(11, 200, 4);
  const LeastErrorRounding rounding(p.hessian, 200);
  const std::vector<int32_t> codes = rounding.round(p.weights, p.codes, p.least());
  EXPECT_LT(rounding.error(p.weights, p.codes, codes),
            0.2 * rounding.error(p.weights, p.codes, p.nearest()));
}

}  // namespace
}  // namespace widthwise
