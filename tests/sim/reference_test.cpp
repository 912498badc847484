// The normative arithmetic against sums done by hand.
#include "sim/reference.h"

#include <gtest/gtest.h>

#include "tests/sim/random_layer.h"

namespace widthwise {
namespace {

using namespace testing_support;
constexpr auto kWrap = OverflowPolicy::kWrap;
constexpr auto kSaturate = OverflowPolicy::kSaturate;

Reduction reduced(const Accumulation& accumulation, std::vector<int64_t> products, int64_t bias) {
  return reduce(accumulation, products, bias);
}

TEST(Reduce, ChainWrapsOrSaturatesAfterEveryAddition) {
  const std::vector<int64_t> products = {5, 4, -3};  // 4 bits: -8..7
  const Reduction wrapped = reduced(chain(4, kWrap), products, 0);
  EXPECT_EQ(wrapped.value, 6);  // 5, 9 -> -7, -10 -> 6
  EXPECT_EQ(wrapped.overflow_count, 2);
  const Reduction saturated = reduced(chain(4, kSaturate), products, 0);
  EXPECT_EQ(saturated.value, 4);  // 5, 9 -> 7, 4
  EXPECT_EQ(saturated.overflow_count, 1);
}

// The other policies, 4 bits: -8..7.
TEST(Reduce, ChainFitsUnderEveryPolicy) {
  const std::vector<int64_t> products = {5, 4, -3, -9, -2};
  const auto run = [&](OverflowPolicy policy, int saturated_bits = 0) {
    Accumulation a = chain(4, policy);
    a.stages.back().saturated_bits = saturated_bits;
    return reduced(a, products, 1);
  };
  const auto expect = [](const Reduction& got, int64_t value, int64_t overflow_count) {
    EXPECT_EQ(got.value, value);
    EXPECT_EQ(got.overflow_count, overflow_count);
  };
  // From 1 on.
  expect(run(OverflowPolicy::kSaturateZero), -2, 2);  // 6, 10 -> 0, -3, -12 -> 0, -2
  // 6, 10 -> 7, 4, -5, -7: all within -7..7 but one
  expect(run(OverflowPolicy::kSaturateSymmetric), -7, 1);
  // 6, 10 = 01010b -> 1010b inverted 5, 2, -7, -9 = 10111b -> 0111b inverted -8
  expect(run(OverflowPolicy::kWrapSignMagnitude), -8, 2);
  // 6, 10 = 1010b -> 0 010b = 2, -1, -10 = ..0110b -> 1 110b = -2, -4
  expect(run(OverflowPolicy::kWrapSaturatedBits, 1), -4, 2);
  // 6, 10 -> 01 10b = 6, 3, -6, -8
  expect(run(OverflowPolicy::kWrapSaturatedBits, 2), -8, 1);
}

TEST(Reduce, SymmetricSaturationLeavesOutTheLeast) {
  const Reduction sums = reduced(chain(4, OverflowPolicy::kSaturateSymmetric), {-4, -4, 1}, 0);
  EXPECT_EQ(sums.value, -6);  // -4, -8 -> -7, -6
  EXPECT_EQ(sums.overflow_count, 1);
  EXPECT_EQ(reduced(chain(4, OverflowPolicy::kSaturateSymmetric), {0}, -8).value, -7);
}

TEST(Reduce, TreeSumsExactlyBeforeTheChain) {
  const Reduction sums = reduced(tree_chain(2, 4, kSaturate), {20, -15, 6, -5, 3}, 0);
  EXPECT_EQ(sums.value, 7);  // 5, 6, 9 -> 7
  EXPECT_EQ(sums.overflow_count, 1);
}

TEST(Reduce, BiasIsPreloadedUncountedOrAddedLastCounted) {
  EXPECT_EQ(reduced(chain(4, kWrap, BiasMode::kPreload), {1}, 9).value, -6);  // 9 -> -7, -6
  EXPECT_EQ(reduced(chain(4, kWrap, BiasMode::kPreload), {1}, 9).overflow_count, 0);
  EXPECT_EQ(reduced(chain(4, kWrap, BiasMode::kLast), {1}, 9).value, -6);  // 1, 10 -> -6
  EXPECT_EQ(reduced(chain(4, kWrap, BiasMode::kLast), {1}, 9).overflow_count, 1);
  EXPECT_EQ(reduced(chain(4, kSaturate, BiasMode::kPreload), {1}, 9).value, 7);  // 9 -> 7, 8 -> 7
  EXPECT_EQ(reduced(chain(4, kSaturate, BiasMode::kPreload), {1}, 9).overflow_count, 1);
}

// A weight-stationary column of 2 rows at 4 bits that feeds an accumulator of 6 bits.
TEST(Reduce, NestedChainsFitAtTheirOwnWidths) {
  Accumulation nested = chain(6, kSaturate);
  nested.stages.insert(nested.stages.begin(), Stage{.length = 2, .bits = 4, .overflow = kWrap});
  const Reduction sums = reduced(nested, {7, 3, 7, 7, 5}, 30);
  // columns: 7, 10 -> -6; 7, 14 -> -2; 5. outer: 30, 24, 22, 27
  EXPECT_EQ(sums.value, 27);
  EXPECT_EQ(sums.overflow_count, 2);
}

TEST(ReferenceMatmul, PaddedTapsAddZeroWithAZeroPoint) {
  LayerShape s{.group_ifmaps = 1,
               .group_ofmaps = 1,
               .rows = 1,
               .cols = 1,
               .kernel_rows = 3,
               .kernel_cols = 3};
  RandomLayer l = random_layer(s, {8, false}, 100, {8, true}, 1, Data::kUniform, 0, 1);
  l.codes = {103};
  l.layer.weights = {1, 1, 1, 1, 50, 1, 1, 1, 1};
  const LayerSums sums =
      reference_matmul(l.workload(), l.codes, 100, l.layer.weights, l.layer.bias, chain(24, kWrap));
  EXPECT_EQ(sums.accumulators, (std::vector<int64_t>{150}));
}

TEST(ReferenceMatmul, OrderChangesWhatSaturates) {
  LayerShape s{.group_ifmaps = 2,
               .group_ofmaps = 1,
               .rows = 1,
               .cols = 2,
               .kernel_rows = 1,
               .kernel_cols = 2,
               .pad_top = 0,
               .pad_left = 0,
               .pad_bottom = 0,
               .pad_right = 0};
  RandomLayer l = random_layer(s, {4, false}, 0, {4, true}, 1, Data::kUniform, 0, 1);
  l.codes = {1, 1, 1, 1};
  l.layer.weights = {5, 5, -5, -5};  // channel 0: 5, 5; channel 1: -5, -5
  Accumulation by_channel = chain(4, kSaturate), by_col = by_channel;
  by_col.order = {ReductionAxis::kCol, ReductionAxis::kRow, ReductionAxis::kChannel};
  const auto run = [&](const Accumulation& a) {
    return reference_matmul(l.workload(), l.codes, 0, l.layer.weights, l.layer.bias, a);
  };
  EXPECT_EQ(run(by_channel).accumulators[0], -3);  // 5, 10 -> 7, 2, -3
  EXPECT_EQ(run(by_channel).overflow_counts[0], 1);
  EXPECT_EQ(run(by_col).accumulators[0], 0);  // 5, 0, 5, 0
  EXPECT_EQ(run(by_col).overflow_counts[0], 0);
}

}  // namespace
}  // namespace widthwise
