#include "core/accumulator.h"

#include <gtest/gtest.h>

#include "core/integer_format.h"

namespace widthwise {
namespace {

struct FitCase {
  const char* name;
  int64_t value;
  int bits;
  int64_t wrapped, saturated;
};
void PrintTo(const FitCase& c, std::ostream* out) { *out << c.name; }

constexpr FitCase kFits[] = {
    {"Inside", 7, 4, 7, 7},
    {"Least", -8, 4, -8, -8},
    {"OneAbove", 8, 4, -8, 7},
    {"OneBelow", -9, 4, 7, -8},
    {"FullTurn", 16, 4, 0, 7},
    {"FarBelow", -1000, 4, -8, -8},  // -1000 = -63 * 16 + 8, and 8 wraps to -8
    {"TwoBits", 2, 2, -2, 1},
    {"SixtyTwoBits", (int64_t{1} << 61), 62, -(int64_t{1} << 61), (int64_t{1} << 61) - 1},
};

class Fit : public testing::TestWithParam<FitCase> {};
TEST_P(Fit, WrapsAndSaturates) {
  const FitCase& c = GetParam();
  EXPECT_EQ(fit(c.value, c.bits, OverflowPolicy::kWrap), c.wrapped);
  EXPECT_EQ(fit(c.value, c.bits, OverflowPolicy::kSaturate), c.saturated);
}
INSTANTIATE_TEST_SUITE_P(Cases, Fit, testing::ValuesIn(kFits),
                         [](const auto& test) { return test.param.name; });

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
