#include "hwmodel/overflow_bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

namespace widthwise {
namespace {

int64_t low(SumBounds bounds) { return static_cast<int64_t>(bounds.low); }
int64_t high(SumBounds bounds) { return static_cast<int64_t>(bounds.high); }

TEST(SumBoundsBits, IsTheNarrowestWidth) {
  for (int bits = 1; bits < 100; ++bits) {
    const __int128 end = __int128{1} << (bits - 1);
    EXPECT_EQ((SumBounds{-end, end - 1}.bits()), bits);
    EXPECT_EQ((SumBounds{-end - 1, 0}.bits()), bits + 1);
    EXPECT_EQ((SumBounds{0, end}.bits()), bits + 1);
  }
  EXPECT_EQ((SumBounds{0, 0}.bits()), 1);
}

// Every prefix of every order is the sum of a subset: walk all subsets of all data.
struct Extremes {
  int64_t low = std::numeric_limits<int64_t>::max();
  int64_t high = std::numeric_limits<int64_t>::min();
  void see(int64_t value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

Extremes brute_force(const std::vector<int32_t>& weights, IntegerFormat ifmap, int32_t zero_point,
                     int64_t bias, BiasMode mode) {
  Extremes seen;
  const auto visit = [&](const auto& self, size_t k, int64_t sum) -> void {
    if (k == weights.size()) {
      seen.see(sum + bias);
      if (mode == BiasMode::kLast) seen.see(sum);
      return;
    }
    self(self, k + 1, sum);  // not added yet
    for (int64_t code = ifmap.min(); code <= ifmap.max(); ++code)
      self(self, k + 1, sum + weights[k] * (code - zero_point));
  };
  visit(visit, 0, 0);
  return seen;
}

TEST(WeightBounds, AreWhatBruteForceReaches) {
  const std::vector<std::vector<int32_t>> all_weights = {
      {}, {0}, {3}, {-3}, {3, -2}, {-1, -2, -3}, {7, 0, -8, 5}, {1, 1, 1, 1}};
  for (const IntegerFormat ifmap : {IntegerFormat{1, false}, {2, false}, {2, true}, {3, true}}) {
    for (auto zero_point = ifmap.min(); zero_point <= ifmap.max(); ++zero_point) {
      for (const auto& weights : all_weights) {
        for (const int64_t bias : {-37, -1, 0, 1, 50}) {
          for (const BiasMode mode : {BiasMode::kPreload, BiasMode::kLast}) {
            const auto zero = static_cast<int32_t>(zero_point);
            const Extremes seen = brute_force(weights, ifmap, zero, bias, mode);
            const SumBounds bounds = weight_bounds(weights, ifmap, zero, bias, mode);
            EXPECT_EQ(low(bounds), seen.low);
            EXPECT_EQ(high(bounds), seen.high);
          }
        }
      }
    }
  }
}

TEST(WeightBounds, BiasLastKeepsThePrefixesWithoutIt) {
  const std::vector<int32_t> weights = {10, -10};
  const IntegerFormat ifmap{2, false};  // 0..3
  const SumBounds preload = weight_bounds(weights, ifmap, 0, 100, BiasMode::kPreload);
  EXPECT_EQ(low(preload), 70);
  EXPECT_EQ(high(preload), 130);
  const SumBounds last = weight_bounds(weights, ifmap, 0, 100, BiasMode::kLast);
  EXPECT_EQ(low(last), -30);
  EXPECT_EQ(high(last), 130);
}

// All weights and all data of a format: the data-type bound is the widest weight bound.
TEST(DataTypeBounds, AreTheWidestWeightBound) {
  for (const IntegerFormat ifmap : {IntegerFormat{1, false}, {3, false}, {3, true}, {8, false}}) {
    for (const IntegerFormat weight : {IntegerFormat{2, true}, {3, false}, {4, true}}) {
      for (const auto zero_point : {ifmap.min(), ifmap.min() / 2, ifmap.max()}) {
        for (const int64_t length : {1, 2, 3, 4, 5}) {
          const auto zero = static_cast<int32_t>(zero_point);
          Extremes seen;  // the extreme sums have all weights equal
          for (auto w = weight.min(); w <= weight.max(); ++w) {
            const std::vector<int32_t> weights(static_cast<size_t>(length),
                                               static_cast<int32_t>(w));
            const SumBounds one = weight_bounds(weights, ifmap, zero, 0, BiasMode::kPreload);
            seen.see(low(one));
            seen.see(high(one));
          }
          const SumBounds bounds = data_type_bounds(ifmap, zero, weight, length, false);
          EXPECT_EQ(low(bounds), seen.low);
          EXPECT_EQ(high(bounds), seen.high);
        }
      }
    }
  }
}

// K = 1, 2^n and 2^n +- 1: 255 * -128 * K needs one more bit exactly where it passes a power of 2.
TEST(DataTypeBounds, WidthChangesAtTheExactLength) {
  for (int64_t length = 1; length <= 5000; ++length) {
    int expected = 1;  // -255 * 128 * length >= -2^(bits - 1)
    while (255 * 128 * length > (int64_t{1} << (expected - 1))) ++expected;
    EXPECT_EQ(data_type_bound_bits({8, false}, 0, {8, true}, length, false), expected);
  }
  EXPECT_EQ(data_type_bound_bits({8, true}, 0, {8, true}, 1, false), 16);  // 2^14
  EXPECT_EQ(data_type_bound_bits({8, true}, 0, {8, true}, 2, false), 17);  // 2^15
  EXPECT_EQ(data_type_bound_bits({8, true}, 0, {8, true}, 3, false), 17);
  EXPECT_EQ(data_type_bound_bits({8, true}, 0, {8, true}, 4, false), 18);  // 2^16
}

TEST(DataTypeBounds, HoldAtTheExtremes) {
  const int64_t longest = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(data_type_bound_bits({16, false}, 0, {16, true}, longest, false), 95);
  EXPECT_EQ(data_type_bound_bits({1, false}, 0, {1, false}, 1, false), 2);        // 0..1
  EXPECT_EQ(data_type_bound_bits({1, false}, 0, {1, true}, 4, false), 4);         // binary: -4..4
  EXPECT_EQ(data_type_bound_bits({8, false}, 0, {8, true}, 64, true), 15);        // 64 * 255
  EXPECT_EQ(data_type_bound_bits({8, false}, 128, {8, true}, 64, true), 14);      // 64 * -128
  EXPECT_EQ(data_type_bound_bits({16, false}, 65535, {16, true}, 1, false), 32);  // 65535 * 32768
}

TEST(DataTypeBounds, TakeTheRangeOfTheBias) {
  const SumBounds bias{-5, 1000};
  const SumBounds preload = data_type_bounds({2, false}, 0, {2, true}, 1, false, bias);
  EXPECT_EQ(low(preload), -6 - 5);
  EXPECT_EQ(high(preload), 3 + 1000);
  const SumBounds last =
      data_type_bounds({2, false}, 0, {2, true}, 1, false, {10, 20}, BiasMode::kLast);
  EXPECT_EQ(low(last), -6);
  EXPECT_EQ(high(last), 23);
}

TEST(TextbookBits, RoundsTheLogarithmUp) {
  EXPECT_EQ(textbook_bits(8, 8, 1), 16);
  EXPECT_EQ(textbook_bits(8, 4, 2), 13);
  for (int n = 2; n < 62; ++n) {
    const int64_t power = int64_t{1} << n;
    EXPECT_EQ(textbook_bits(4, 4, power - 1), 8 + n);
    EXPECT_EQ(textbook_bits(4, 4, power), 8 + n);
    EXPECT_EQ(textbook_bits(4, 4, power + 1), 9 + n);
  }
}

TEST(TextbookBits, IsNeverBelowTheExactWidthButForUnsignedPairs) {
  for (const IntegerFormat ifmap : {IntegerFormat{4, true}, {4, false}, {8, true}, {8, false}}) {
    for (int64_t length = 1; length <= 600; ++length) {
      const int exact = data_type_bound_bits(ifmap, 0, {4, true}, length, false);
      EXPECT_LE(exact, textbook_bits(ifmap.bits, 4, length));
    }
  }
  EXPECT_EQ(data_type_bound_bits({8, false}, 0, {8, false}, 1, false), 17);
  EXPECT_EQ(textbook_bits(8, 8, 1), 16);
}

TEST(OverflowBounds, RefuseWhatTheirProofExcludes) {
  const std::vector<int32_t> weights = {1};
  EXPECT_THROW(weight_bounds(weights, {4, false}, 16, 0, BiasMode::kLast), std::invalid_argument);
  EXPECT_THROW(data_type_bounds({4, true}, 8, {4, true}, 1, false), std::invalid_argument);
  EXPECT_THROW(data_type_bounds({4, true}, 0, {4, true}, 0, false), std::invalid_argument);
  EXPECT_THROW(textbook_bits(4, 4, 0), std::invalid_argument);
}

}  // namespace
}  // namespace widthwise
