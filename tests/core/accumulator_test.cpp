#include "core/accumulator.h"

#include <gtest/gtest.h>

#include "core/integer_format.h"

namespace widthwise {
namespace {

TEST(Accumulator, CountsAdditionsThatDoNotFit) {
  Accumulator wrap(4, OverflowPolicy::kWrap), saturate(4, OverflowPolicy::kSaturate);
  for (const int64_t addend : {5, 5, -1}) {
    wrap.add(addend);
    saturate.add(addend);
  }
  EXPECT_EQ(wrap.value(), -7);  // 5, 10 -> -6, -7
  EXPECT_EQ(wrap.overflow_count(), 1);
  EXPECT_EQ(saturate.value(), 6);  // 5, 10 -> 7, 6
  EXPECT_EQ(saturate.overflow_count(), 1);
}

TEST(Accumulator, LeavesOutTheLeastValueWhenSymmetric) {
  Accumulator symmetric(4, OverflowPolicy::kSaturateSymmetric);
  symmetric.add(-8);
  EXPECT_EQ(symmetric.value(), -7);
  symmetric.add(0);
  EXPECT_EQ(symmetric.value(), -7);
  EXPECT_EQ(symmetric.overflow_count(), 1);
}

TEST(Accumulator, ForgetsItsSumWhenSaturatingToZero) {
  Accumulator zero(4, OverflowPolicy::kSaturateZero);
  for (const int64_t addend : {5, 5, -1}) zero.add(addend);
  EXPECT_EQ(zero.value(), -1);  // 5, 10 -> 0, -1
  EXPECT_EQ(zero.overflow_count(), 1);
}

TEST(Accumulator, SaturatesTopBitsAsItIsTold) {
  Accumulator two(4, OverflowPolicy::kWrapSaturatedBits, 8, 2);
  EXPECT_EQ(two.value(), 4);  // 8 = 1000b: 01 of the greatest, 00 of its own
  EXPECT_EQ(two.overflow_count(), 0);
  two.add(6);
  EXPECT_EQ(two.value(), 6);  // 10 = 1010b: 01, 10
  EXPECT_EQ(two.overflow_count(), 1);
}

TEST(Accumulator, FitsItsStartWithoutCounting) {
  const Accumulator wrap(4, OverflowPolicy::kWrap, 9), saturate(4, OverflowPolicy::kSaturate, 9);
  EXPECT_EQ(wrap.value(), -7);
  EXPECT_EQ(saturate.value(), 7);
  EXPECT_EQ(wrap.overflow_count() + saturate.overflow_count(), 0);
}

TEST(IntegerFormat, SignedBitsIsTheNarrowestThatHolds) {
  for (int64_t value = -70000; value <= 70000; ++value) {
    const int bits = signed_bits(value);
    EXPECT_TRUE((IntegerFormat{bits, true}.holds(value))) << value;
    if (bits > 1) {
      EXPECT_FALSE((IntegerFormat{bits - 1, true}.holds(value))) << value;
    }
  }
}

}  // namespace
}  // namespace widthwise
