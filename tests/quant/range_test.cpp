// Scales and zero points by hand, and the rounding of a value to its code.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quant/quantize.h"

namespace widthwise {
namespace {

constexpr auto kSym = Symmetry::kSymmetric;
constexpr auto kAsym = Symmetry::kAsymmetric;

struct RangeCase {
  const char* name;
  float min, max;
  IntegerFormat format;
  Symmetry symmetry;
  bool power_of_two;
  float scale;
  int32_t zero_point;
};
void PrintTo(const RangeCase& c, std::ostream* out) { *out << c.name; }

constexpr RangeCase kRanges[] = {
    {"AsymUnsigned8", -1, 1.55F, {8, false}, kAsym, false, 2.55F / 255, 100},
    {"AsymSigned8", -1, 1.55F, {8, true}, kAsym, false, 2.55F / 255, -28},  // -128 + 100
    {"AsymUnsigned4", -3, 12, {4, false}, kAsym, false, 1, 3},
    {"AsymUnsigned2", -1, 2, {2, false}, kAsym, false, 1, 1},
    {"AsymSigned2", -1, 2, {2, true}, kAsym, false, 1, -1},
    {"AsymPositiveOnlyReachesZero", 5, 10.2F, {8, false}, kAsym, false, 10.2F / 255, 0},
    {"AsymNegativeOnlyReachesZero", -10.2F, -5, {8, false}, kAsym, false, 10.2F / 255, 255},
    {"AsymNegativeOnlySigned", -15, -5, {4, true}, kAsym, false, 1, 7},
    {"AsymZeroPointTieGoesToEven", -2.5F, 4.5F, {3, false}, kAsym, false, 1, 2},  // 2.5 -> 2
    {"AsymZeroPointTieGoesUpToEven", -3.5F, 3.5F, {3, false}, kAsym, false, 1, 4},
    {"SymSigned8", -1.27F, 0.5F, {8, true}, kSym, false, 1.27F / 127, 0},
    {"SymSigned8ByTheGreater", -0.5F, 2.54F, {8, true}, kSym, false, 2.54F / 127, 0},
    {"SymSigned3", -3, 1, {3, true}, kSym, false, 1, 0},
    {"SymSigned2", -0.25F, 0.125F, {2, true}, kSym, false, 0.25F, 0},
    {"SymUnsigned8", 0, 5.1F, {8, false}, kSym, false, 5.1F / 255, 0},
    {"SymUnsigned5", 0, 31, {5, false}, kSym, false, 1, 0},
    {"SymNegativeOnly", -127, -3, {8, true}, kSym, false, 1, 0},
    {"AllZeroAsym", 0, 0, {8, false}, kAsym, false, 1, 0},
    {"AllZeroSymSigned", 0, 0, {8, true}, kSym, false, 1, 0},
    {"AllZeroAsymSigned", 0, 0, {8, true}, kAsym, false, 1, -128},
    {"BelowFloat32IsZero", 0, 1e-40F, {8, false}, kAsym, false, 1, 0},
    {"PowerOfTwoIsRoundedUp", 0, 2.1F, {8, false}, kAsym, true, 0.015625F, 0},  // 2.1/255 > 2^-7
    {"PowerOfTwoStays", 0, 255.0F / 64, {8, false}, kAsym, true, 0.015625F, 0},
    {"PowerOfTwoSymmetric", -5, 3, {4, true}, kSym, true, 1, 0},               // 5/7
    {"PowerOfTwoMovesTheZeroPoint", -2, 5, {4, false}, kAsym, true, 0.5F, 4},  // 7/15, not 4.3
};

class Range : public testing::TestWithParam<RangeCase> {};
TEST_P(Range, ByHand) {
  const RangeCase& c = GetParam();
  const TensorQuantization q =
      range_quantization(c.min, c.max, c.format, c.symmetry, c.power_of_two);
  EXPECT_EQ(q.format, c.format);
  EXPECT_FLOAT_EQ(q.scale, c.scale);
  EXPECT_EQ(q.zero_point, c.zero_point);
}
INSTANTIATE_TEST_SUITE_P(All, Range, testing::ValuesIn(kRanges),
                         [](const auto& test) { return test.param.name; });

// What every range must give, at every width: 0 is a code, the ends are no farther than half a step
// from a code (symmetric, power of two and the rounded zero point included), the zero point fits.
TEST(RangeQuantization, EveryRangeAndWidthCoversItsValues) {
  const float ends[] = {-1000.7F, -3.3F, -1e-3F, 0, 2e-4F, 0.77F, 6, 12345.6F};
  int cases = 0;
  for (int bits = 2; bits <= 8; ++bits) {
    for (const bool is_signed : {false, true}) {
      for (const Symmetry symmetry : {kSym, kAsym}) {
        for (const bool power_of_two : {false, true}) {
          for (const float min : ends) {
            for (const float max : ends) {
              if (min > max || (symmetry == kSym && !is_signed && min < 0)) continue;
              const TensorQuantization q =
                  range_quantization(min, max, {bits, is_signed}, symmetry, power_of_two);
              ASSERT_TRUE(q.format.holds(q.zero_point));
              EXPECT_EQ(quantize_value(0, q), q.zero_point);
              int exponent = 0;
              if (power_of_two) {
                EXPECT_EQ(std::frexp(q.scale, &exponent), 0.5F) << q.scale;
              }
              for (const float end : {min, max}) {
                const double back = q.scale * double(quantize_value(end, q) - q.zero_point);
                // Half a step, and half a step more where the zero point was rounded.
                const double allowed = (symmetry == kSym ? 0.501 : 1.001) * q.scale;
                EXPECT_NEAR(back, end, allowed) << bits << " bits, [" << min << ", " << max << "]";
              }
              ++cases;
            }
          }
        }
      }
    }
  }
  EXPECT_GT(cases, 1000);
}

// A scale just above a power of two goes up to the next one at every magnitude: no float logarithm
// decides it.
TEST(RangeQuantization, PowerOfTwoIsNeverBelowTheScale) {
  for (int exponent = -60; exponent <= 60; ++exponent) {
    const float power = std::ldexp(1.0F, exponent);
    const auto scale_of = [](float scale) {  // 2 bits, symmetric, signed: the scale is the range
      return range_quantization(-scale, scale, {2, true}, kSym, true).scale;
    };
    EXPECT_EQ(scale_of(power), power) << exponent;
    EXPECT_EQ(scale_of(std::nextafter(power, 1e30F)), 2 * power) << exponent;
    EXPECT_EQ(scale_of(std::nextafter(power, 0.0F)), power) << exponent;
  }
}

TEST(QuantizeValue, TiesGoToEvenBeforeTheZeroPointIsAdded) {
  const TensorQuantization odd{.format = {8, false}, .scale = 0.5F, .zero_point = 101};
  EXPECT_EQ(quantize_value(0.25F, odd), 101);   // 0.5 -> 0; after the addition it would be 102
  EXPECT_EQ(quantize_value(0.75F, odd), 103);   // 1.5 -> 2
  EXPECT_EQ(quantize_value(1.25F, odd), 103);   // 2.5 -> 2
  EXPECT_EQ(quantize_value(-0.25F, odd), 101);  // -0.5 -> 0
  EXPECT_EQ(quantize_value(-0.75F, odd), 99);   // -1.5 -> -2
  EXPECT_EQ(quantize_value(-1.25F, odd), 99);
}

TEST(QuantizeValue, SaturatesAtTheEnds) {
  const TensorQuantization q{.format = {4, true}, .scale = 0.1F, .zero_point = -2};
  EXPECT_EQ(quantize_value(100, q), 7);
  EXPECT_EQ(quantize_value(-100, q), -8);
  EXPECT_EQ(quantize_value(std::numeric_limits<float>::max(), q), 7);
  EXPECT_EQ(quantize_value(std::numeric_limits<float>::lowest(), q), -8);
  EXPECT_EQ(quantize_value(std::numeric_limits<float>::infinity(), q), 7);
}

TEST(QuantizeValue, DividesInFloat32) {
  // In double 4.35 / 0.1 is 43.5 or just below; in float32 4.35f / 0.1f is exactly 43.5 -> 44.
  const TensorQuantization q{.format = {8, false}, .scale = 0.1F, .zero_point = 0};
  EXPECT_EQ(4.35F / 0.1F, 43.5F);
  EXPECT_LT(double{4.35F} / double{0.1F}, 43.5);
  EXPECT_EQ(quantize_value(4.35F, q), 44);
}

}  // namespace
}  // namespace widthwise
