#include "core/requantizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace widthwise {
namespace {

struct TieCase {
  const char* name;
  Rounding rounding;
  int value, expected;  // round(value / 2)
};
void PrintTo(const TieCase& c, std::ostream* out) { *out << c.name; }

constexpr TieCase kTies[] = {
    {"HalfUpPlus", Rounding::kHalfUp, 5, 3},        {"HalfUpMinus", Rounding::kHalfUp, -5, -2},
    {"HalfEvenPlus", Rounding::kHalfEven, 5, 2},    {"HalfEvenMinus", Rounding::kHalfEven, -5, -2},
    {"HalfEvenOdd", Rounding::kHalfEven, 7, 4},     {"HalfAwayPlus", Rounding::kHalfAway, 5, 3},
    {"HalfAwayMinus", Rounding::kHalfAway, -5, -3}, {"TruncatePlus", Rounding::kTruncate, 5, 2},
    {"TruncateMinus", Rounding::kTruncate, -5, -2}, {"FloorPlus", Rounding::kFloor, 5, 2},
    {"FloorMinus", Rounding::kFloor, -5, -3},
};

class RoundingTies : public testing::TestWithParam<TieCase> {};
TEST_P(RoundingTies, GoTheirWay) {
  EXPECT_EQ(static_cast<int>(shift_rounded(GetParam().value, 1, GetParam().rounding)),
            GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(Modes, RoundingTies, testing::ValuesIn(kTies),
                         [](const auto& test) { return test.param.name; });

// The exact real value, rounded in long double, for every mode.
long double rounded_real(long double value, Rounding rounding) {
  const long double floor = std::floor(value), rest = value - floor;
  switch (rounding) {
    case Rounding::kHalfUp:
      return rest >= 0.5L ? floor + 1 : floor;
    case Rounding::kHalfEven:
      return std::nearbyint(value);
    case Rounding::kHalfAway:
      return std::round(value);
    case Rounding::kTruncate:
      return std::trunc(value);
    default:
      return floor;
  }
}

TEST(ShiftRounded, EqualsTheRealNumber) {
  for (const Rounding rounding : {Rounding::kHalfUp, Rounding::kHalfEven, Rounding::kHalfAway,
                                  Rounding::kTruncate, Rounding::kFloor}) {
    for (int shift = 0; shift <= 6; ++shift) {
      for (int value = -300; value <= 300; ++value) {
        const long double real = static_cast<long double>(value) / (1 << shift);
        EXPECT_EQ(static_cast<int>(shift_rounded(value, shift, rounding)),
                  static_cast<int>(rounded_real(real, rounding)))
            << rounding_name(rounding) << " " << value << " >> " << shift;
      }
    }
  }
}

TEST(FixedMultiplier, HasExactlyTheBitsAskedFor) {
  for (int bits = 2; bits <= 31; ++bits) {
    for (const double ratio : {0.9999999999, 0.5, 0.3, 1.0, 1e-5, 37.0}) {
      const FixedMultiplier fixed = fixed_multiplier(ratio, bits);
      EXPECT_GE(fixed.multiplier, int64_t{1} << (bits - 1));
      EXPECT_LT(fixed.multiplier, int64_t{1} << bits);
      EXPECT_LE(
          std::abs(std::ldexp(static_cast<double>(fixed.multiplier), -fixed.shift) / ratio - 1),
          std::ldexp(1.0, -bits));
    }
  }
}

// Hand-computed with TFLite's documented formula: SRDHM, then a rounding shift, ties away from
// zero.
TEST(Gemmlowp, RoundsTwice) {
  EXPECT_EQ(gemmlowp_multiply(3, 0.5), 2);    // 1.5 -> 2
  EXPECT_EQ(gemmlowp_multiply(-3, 0.5), -1);  // SRDHM's nudge for negatives is 1 - 2^30: -1.5 -> -1
  EXPECT_EQ(gemmlowp_multiply(5, 0.25), 2);   // 5 * 2^30 / 2^31 = 2.5 -> 3, then 3 / 2 = 1.5 -> 2
  EXPECT_EQ(gemmlowp_multiply(100, 3.0), 300);
  EXPECT_EQ(gemmlowp_multiply(1 << 30, 0.75), 805306368);
}

TEST(Requantizer, Float32IsOnnxRuntimesFormula) {
  const RequantizeConfig config{.kind = RequantizeConfig::Kind::kFloat32};
  const Requantizer requantize(config, 0.02F, 0.003F, 0.05F, 3, 0, 255);
  const float multiplier = 0.02F * 0.003F / 0.05F;
  for (int acc = -300000; acc <= 300000; acc += 17) {
    const float scaled = static_cast<float>(acc) * multiplier;
    const long expected = std::min(255L, std::max(0L, std::lrint(scaled) + 3));
    EXPECT_EQ(requantize(acc), expected) << acc;
  }
}

TEST(Requantizer, ClampIsTheRelu) {
  const Requantizer requantize({.kind = RequantizeConfig::Kind::kMultiplierShift}, 1, 1, 1, 10, 10,
                               20);
  EXPECT_EQ(requantize(-5), 10);
  EXPECT_EQ(requantize(4), 14);
  EXPECT_EQ(requantize(int64_t{1} << 47), 20);
}

TEST(Requantizer, PowerOfTwoRefusesOtherRatios) {
  const RequantizeConfig config{.kind = RequantizeConfig::Kind::kPowerOfTwo};
  EXPECT_THROW(Requantizer(config, 0.3F, 1, 1, 0, -128, 127), std::invalid_argument);
  const Requantizer shift(config, 0.25F, 0.5F, 1, 0, -128, 127);
  EXPECT_EQ(shift(12), 2);  // 1.5, half up
  EXPECT_EQ(shift(-12), -1);
}

TEST(ElementwiseRequantizer, AgreesWithRealArithmeticToOneCode) {
  std::mt19937 random(1);
  for (const auto kind :
       {RequantizeConfig::Kind::kFloat32, RequantizeConfig::Kind::kMultiplierShift,
        RequantizeConfig::Kind::kGemmlowp}) {
    const RequantizeConfig config{.kind = kind};
    const ElementwiseRequantizer add(config, {{0.031F, 4}, {0.0047F, 120}}, 0.036F, 7, 0, 255);
    const ElementwiseRequantizer copy(config, {{0.031F, 4}}, 0.036F, 7, 0, 255);
    for (int i = 0; i < 20000; ++i) {
      const int a = static_cast<int>(random() % 256), b = static_cast<int>(random() % 256);
      const double sum = ((a - 4) * 0.031 + (b - 120) * 0.0047) / 0.036 + 7,
                   one = (a - 4) * 0.031 / 0.036 + 7;
      EXPECT_NEAR(add(a, b), std::clamp(sum, 0.0, 255.0), 0.51);
      EXPECT_NEAR(copy(a), std::clamp(one, 0.0, 255.0), 0.51);
    }
  }
}

TEST(ElementwiseRequantizer, Float32AddsTheZeroPointBeforeItRounds) {
  const RequantizeConfig config{.kind = RequantizeConfig::Kind::kFloat32};
  for (const int zero_point : {6, 7}) {
    const ElementwiseRequantizer add(config, {{0.5F, 10}, {0.25F, 20}}, 1, zero_point, 0, 255);
    EXPECT_EQ(add(11, 20), zero_point == 6 ? 6 : 8);  // 6.5 -> 6, 7.5 -> 8: ties to even
    EXPECT_EQ(add(13, 20), zero_point == 6 ? 8 : 8);  // 7.5 -> 8, 8.5 -> 8
    EXPECT_EQ(add(11, 22), zero_point + 1);           // no tie
  }
  const ElementwiseRequantizer narrow(config, {{1, 0}, {1, 0}}, 1, 0, -5, 7);
  EXPECT_EQ(narrow(100, 100), 7);
  EXPECT_EQ(narrow(-100, -100), -5);
}

TEST(ElementwiseRequantizer, PowerOfTwoKeepsTheFinerOperandsBits) {
  const ElementwiseRequantizer add({.kind = RequantizeConfig::Kind::kPowerOfTwo},
                                   {{1.0F, 0}, {0.125F, 0}}, 1.0F, 0, -128, 127);
  EXPECT_EQ(add(1, 4), 2);     // 1.5, half up
  EXPECT_EQ(add(1, 3), 1);     // 1.375
  EXPECT_EQ(add(-1, -4), -1);  // -1.5
}

}  // namespace
}  // namespace widthwise
