#include "quant/linear_quantization.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace widthwise {
namespace {

using Mode = QuantizationMode;
constexpr Mode kModes[] = {Mode::kSymmetric, Mode::kSymmetricRestricted, Mode::kAsymmetricUnsigned,
                           Mode::kAsymmetricSigned};

struct RangeCase {
  const char* name;
  Mode mode;
  Compat compat;
  float low, high;
  LinearScale scale;
  CodeRange codes;
};
void PrintTo(const RangeCase& c, std::ostream* to) { *to << c.name; }

// 8 bits; ranges at which the scale is a whole number.
const RangeCase kRanges[] = {
    {"Sym", Mode::kSymmetric, Compat::kNone, -0.25F, 0.5F, {255, 0}, {-128, 127}},
    {"SymOld", Mode::kSymmetric, Compat::kDistiller03, -0.25F, 0.5F, {254, 0}, {-128, 127}},
    {"SymRestricted", Mode::kSymmetricRestricted, Compat::kNone, -1, 0.5F, {127, 0}, {-127, 127}},
    {"AsymUnsigned", Mode::kAsymmetricUnsigned, Compat::kNone, -0.5F, 0.5F, {255, -128}, {0, 255}},
    {"AsymSigned", Mode::kAsymmetricSigned, Compat::kNone, -0.5F, 0.5F, {255, 0}, {-128, 127}},
    {"PositiveIsWidenedTo0", Mode::kAsymmetricUnsigned, Compat::kNone, 0.5F, 1, {255, 0}, {0, 255}},
    {"NegativeIsWidenedTo0",
     Mode::kAsymmetricUnsigned,
     Compat::kNone,
     -1,
     -0.5F,
     {255, -255},
     {0, 255}},
    {"NothingIsScale1", Mode::kSymmetric, Compat::kNone, 0, 0, {1, 0}, {-128, 127}},
    {"NothingSigned", Mode::kAsymmetricSigned, Compat::kNone, 0, 0, {1, 128}, {-128, 127}},
};

class Ranges : public testing::TestWithParam<RangeCase> {};
TEST_P(Ranges, GiveScaleAndZeroPoint) {
  const RangeCase& c = GetParam();
  EXPECT_EQ(scale_of_range({c.low, c.high}, 8, c.mode, c.compat), c.scale);
  EXPECT_EQ(code_range(8, c.mode, c.compat), c.codes);
}
INSTANTIATE_TEST_SUITE_P(Modes, Ranges, testing::ValuesIn(kRanges),
                         [](const auto& test) { return test.param.name; });

TEST(LinearQuantization, RefusesWhatIsNoRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              inf = std::numeric_limits<float>::infinity();
  for (const RealRange& range : {RealRange{1, 0}, {nan, 1}, {0, nan}, {0, inf}, {-inf, 0}})
    EXPECT_THROW(scale_of_range(range, 8, Mode::kSymmetric, Compat::kNone), std::invalid_argument);
}

// Ties go to the even code; the greatest value of a full symmetric range is a tie that is clamped.
TEST(LinearQuantization, TiesAndEnds) {
  const CodeRange codes{-128, 127};
  const LinearScale one{1, 0}, shifted{1, -3};
  EXPECT_EQ(linear_quantize(0.5F, one, codes), 0);
  EXPECT_EQ(linear_quantize(1.5F, one, codes), 2);
  EXPECT_EQ(linear_quantize(-2.5F, one, codes), -2);
  EXPECT_EQ(linear_quantize(0.5F, shifted, codes), 4);  // of 3.5: the zero point comes first
  const LinearScale full = scale_of_range({-1, 1}, 2, Mode::kSymmetric, Compat::kNone);
  EXPECT_EQ(linear_quantize(1, full, code_range(2, Mode::kSymmetric, Compat::kNone)), 1);
  EXPECT_EQ(linear_quantize(-1, full, code_range(2, Mode::kSymmetric, Compat::kNone)), -2);
  EXPECT_EQ(linear_dequantize(7, shifted), 4);
}

// A value inside its range is off by half a step at most, and 0 is exact.
RC_GTEST_PROP(LinearQuantizationProperty, IsWithinHalfAStep, ()) {
  const Mode mode = *rc::gen::elementOf(std::vector<Mode>(std::begin(kModes), std::end(kModes)));
  const int bits = *rc::gen::inRange(2, 13);
  const auto number = [] { return static_cast<float>(*rc::gen::inRange(-100000, 100001)) / 1000; };
  const float a = number(), b = number();
  const RealRange range{std::min(a, b), std::max(a, b)};
  const LinearScale scale = scale_of_range(range, bits, mode, Compat::kNone);
  const CodeRange codes = code_range(bits, mode, Compat::kNone);
  const float t = static_cast<float>(*rc::gen::inRange(0, 1001)) / 1000;
  const float x = range.low + t * (range.high - range.low);
  const float q = linear_quantize(x, scale, codes);
  RC_ASSERT(q >= codes.q_min && q <= codes.q_max && q == std::nearbyint(q));
  // The positive end of a full symmetric range has no code of its own.
  const float steps = mode == Mode::kSymmetric ? 1.01F : 0.51F;
  RC_ASSERT(std::abs(linear_dequantize(q, scale) - x) <= steps / scale.scale);
  RC_ASSERT(linear_dequantize(linear_quantize(0, scale, codes), scale) == 0);
}

// multiplier / 2^shift is below the scale by less than one part in 2^(bits - 1).
RC_GTEST_PROP(LinearQuantizationProperty, ApproximatedScales, ()) {
  const int bits = *rc::gen::inRange(2, 24);
  const float scale =
      std::ldexp(static_cast<float>(*rc::gen::inRange(1, 1 << 24)), *rc::gen::inRange(-40, 10));
  const ScaleApproximation a = approximate_scale(scale, bits);
  RC_ASSERT(a.multiplier == std::floor(a.multiplier) && a.multiplier < std::ldexp(1.0F, bits));
  RC_ASSERT(a.value == std::ldexp(a.multiplier, -a.shift));
  RC_ASSERT(a.value <= scale);
  RC_ASSERT(a.value > scale * (1 - std::ldexp(1.001F, 1 - bits)));
}

}  // namespace
}  // namespace widthwise
