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
    {"HalfUpPlus", Rounding::kHalfUp, 5, 3},
    {"HalfUpMinus", Rounding::kHalfUp, -5, -2},
    {"HalfEvenPlus", Rounding::kHalfEven, 5, 2},
    {"HalfEvenMinus", Rounding::kHalfEven, -5, -2},
    {"HalfEvenOdd", Rounding::kHalfEven, 7, 4},
    {"HalfAwayPlus", Rounding::kHalfAway, 5, 3},
    {"HalfAwayMinus", Rounding::kHalfAway, -5, -3},
    {"TruncatePlus", Rounding::kTruncate, 5, 2},
    {"TruncateMinus", Rounding::kTruncate, -5, -2},
    {"FloorPlus", Rounding::kFloor, 5, 2},
    {"FloorMinus", Rounding::kFloor, -5, -3},
    {"HalfDownPlus", Rounding::kHalfDown, 5, 2},
    {"HalfDownMinus", Rounding::kHalfDown, -5, -3},
    {"HalfTowardZeroPlus", Rounding::kHalfTowardZero, 5, 2},
    {"HalfTowardZeroMinus", Rounding::kHalfTowardZero, -5, -2},
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
    case Rounding::kHalfDown:
      return rest > 0.5L ? floor + 1 : floor;
    case Rounding::kHalfTowardZero:
      return std::copysign(std::ceil(std::fabs(value) - 0.5L), value);
    case Rounding::kTruncate:
      return std::trunc(value);
    case Rounding::kFloor:
      break;
  }
  return floor;
}

TEST(ShiftRounded, EqualsTheRealNumber) {
  for (const Rounding rounding : kRoundings) {
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

// Ties at +-0.5, +-1.5, +-2.5 in each mode, and a quarter to either side of them.
TEST(ShiftRounded, TiesOfEveryMode) {
  struct Row {
    Rounding rounding;
    int ties[6];  // of -2.5, -1.5, -0.5, 0.5, 1.5, 2.5
  };
  constexpr Row kRows[] = {
      {Rounding::kHalfUp, {-2, -1, 0, 1, 2, 3}},
      {Rounding::kHalfDown, {-3, -2, -1, 0, 1, 2}},
      {Rounding::kHalfEven, {-2, -2, 0, 0, 2, 2}},
      {Rounding::kHalfAway, {-3, -2, -1, 1, 2, 3}},
      {Rounding::kHalfTowardZero, {-2, -1, 0, 0, 1, 2}},
      {Rounding::kTruncate, {-2, -1, 0, 0, 1, 2}},
      {Rounding::kFloor, {-3, -2, -1, 0, 1, 2}},
  };
  static_assert(std::size(kRows) == kRoundings.size());
  for (const Row& row : kRows) {
    const bool nearest = row.rounding != Rounding::kTruncate && row.rounding != Rounding::kFloor;
    for (int i = 0; i < 6; ++i) {
      const int below = i - 3;  // floor of the tie
      const auto quarters = [&](int count) {
        return static_cast<int>(shift_rounded(4 * below + count, 2, row.rounding));
      };
      EXPECT_EQ(quarters(2), row.ties[i]) << rounding_name(row.rounding) << " " << below << ".5";
      EXPECT_EQ(quarters(0), below) << rounding_name(row.rounding);
      if (!nearest) continue;
      EXPECT_EQ(quarters(1), below) << rounding_name(row.rounding);
      EXPECT_EQ(quarters(3), below + 1) << rounding_name(row.rounding);
    }
  }
}

TEST(ShiftRounded, HoldsAtTheGreatestValues) {
  constexpr __int128 kMost = (__int128{1} << 100) - 1;  // 2^100 - 1 and its negative, over 2^99
  for (const Rounding rounding : kRoundings) {
    const bool nearest = rounding != Rounding::kTruncate && rounding != Rounding::kFloor;
    EXPECT_EQ(static_cast<int>(shift_rounded(kMost, 99, rounding)), nearest ? 2 : 1);
    EXPECT_EQ(static_cast<int>(shift_rounded(-kMost, 99, rounding)),
              rounding == Rounding::kTruncate ? -1 : -2);
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

// TFLITE_SINGLE_ROUNDING: (x * q + 2^(30 - e)) >> (31 - e).
TEST(Gemmlowp, RoundsOnceHalfUp) {
  const auto once = [](int32_t value, double ratio) {
    return gemmlowp_multiply(value, ratio, GemmlowpRounding::kSingle);
  };
  EXPECT_EQ(once(3, 0.5), 2);    // 1.5
  EXPECT_EQ(once(-3, 0.5), -1);  // -1.5
  EXPECT_EQ(once(5, 0.25), 1);   // 1.25; rounded twice it is 2
  EXPECT_EQ(once(100, 3.0), 300);
  EXPECT_EQ(once(1 << 30, 4.0), INT32_MAX);
  EXPECT_EQ(once(INT32_MIN, 1.0), INT32_MIN);
  EXPECT_EQ(once(INT32_MAX, std::ldexp(1.0, -40)), 0);
  EXPECT_EQ(once(5, 0), 0);
  std::mt19937 random(4);
  for (int i = 0; i < 20000; ++i) {
    const double ratio = std::ldexp(0.5 + static_cast<double>(random() % 1000) / 2000,
                                    static_cast<int>(random() % 20) - 18);
    const auto value = static_cast<int32_t>(random()) >> (1 + random() % 30);
    int e = 0;
    const auto q = static_cast<int64_t>(std::llround(std::ldexp(std::frexp(ratio, &e), 31)));
    const int64_t expected = (value * q + (int64_t{1} << (30 - e))) >> (31 - e);
    ASSERT_EQ(once(value, ratio), expected) << value << " * " << ratio;
  }
}

// q16 = (q + 2^15) >> 16, 0x7FFF from q = 0x7FFF0000 on; (x * q16 + 2^(14 - e)) >> (15 - e).
TEST(Gemmlowp, WideAccumulatorsTakeAMultiplierOfFifteenBits) {
  EXPECT_EQ(gemmlowp_multiply_wide(3, 0.5), 2);
  EXPECT_EQ(gemmlowp_multiply_wide(-3, 0.5), -1);
  EXPECT_EQ(gemmlowp_multiply_wide(1 << 20, 1 - 1e-9), (1 << 20) - 32);  // 0x7FFF / 2^15
  EXPECT_EQ(gemmlowp_multiply_wide(int64_t{1} << 40, std::ldexp(1.0, -20)), 1 << 20);
  EXPECT_EQ(gemmlowp_multiply_wide(int64_t{1} << 46, 1.0), INT32_MAX);
  EXPECT_EQ(gemmlowp_multiply_wide(int64_t{1} << 46, std::ldexp(1.0, -40)), 0);
  std::mt19937_64 random(5);
  for (int i = 0; i < 20000; ++i) {
    const double ratio = std::ldexp(0.5 + static_cast<double>(random() % 100000) / 200000,
                                    static_cast<int>(random() % 15) - 30);
    const auto value = static_cast<int64_t>(random()) >> (17 + random() % 40);
    int e = 0;
    auto q = static_cast<int64_t>(std::llround(std::ldexp(std::frexp(ratio, &e), 31)));
    q = q >= 0x7FFF0000 ? 0x7FFF : (q + (1 << 15)) >> 16;
    const int64_t expected = (value * q + (int64_t{1} << (14 - e))) >> (15 - e);
    ASSERT_EQ(gemmlowp_multiply_wide(value, ratio), expected) << value << " * " << ratio;
  }
}

TEST(Requantizer, GemmlowpRoundsAsItIsTold) {
  RequantizeConfig config{.kind = RequantizeConfig::Kind::kGemmlowp};
  EXPECT_EQ(Requantizer(config, 0.25F, 1, 1, 10, -128, 127)(5), 12);
  EXPECT_EQ(ElementwiseRequantizer(config, {{0.25F, 0}}, 1, 10, -128, 127)(5), 12);
  config.gemmlowp_rounding = GemmlowpRounding::kSingle;
  EXPECT_EQ(Requantizer(config, 0.25F, 1, 1, 10, -128, 127)(5), 11);
  EXPECT_EQ(ElementwiseRequantizer(config, {{0.25F, 0}}, 1, 10, -128, 127)(5), 11);
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

// Of four codes at 0.5 with zero point -3: a sum of 2 is a mean of -3 + 0.5.
TEST(Requantizer, MeanByHand) {
  using Kind = RequantizeConfig::Kind;
  const Requantizer::Mean four{0.5F, -3, 4};
  const auto mean = [&](Kind kind, float scale, int zero_point, int64_t sum) {
    return Requantizer({.kind = kind}, four, scale, zero_point, -128, 127)(sum);
  };
  EXPECT_EQ(mean(Kind::kGemmlowp, 0.5F, -3, 2), -3);  // -2.5, away from 0: of the code, not of 0.5
  EXPECT_EQ(mean(Kind::kGemmlowp, 0.5F, -3, 14), 1);  // 0.5, away from 0
  EXPECT_EQ(mean(Kind::kGemmlowp, 0.5F, -3, 4000), 127);
  EXPECT_EQ(mean(Kind::kGemmlowp, 0.5F, -4, 2), -3);    // another zero point: -4 + 0.5
  EXPECT_EQ(mean(Kind::kGemmlowp, 0.25F, -3, 2), -2);   // another scale: -3 + 1
  EXPECT_EQ(mean(Kind::kFloat32, 0.5F, -3, 2), -3);     // 0.5, to even
  EXPECT_EQ(mean(Kind::kFloat32, 0.5F, -3, 6), -1);     // 1.5, to even
  EXPECT_EQ(mean(Kind::kPowerOfTwo, 0.5F, -3, 2), -2);  // 0.5, half up
  EXPECT_THROW(Requantizer({.kind = Kind::kPowerOfTwo}, {0.5F, -3, 3}, 0.5F, -3, -128, 127),
               std::invalid_argument);
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
  using Kind = RequantizeConfig::Kind;
  for (const RequantizeConfig& config :
       {RequantizeConfig{.kind = Kind::kFloat32}, RequantizeConfig{.kind = Kind::kMultiplierShift},
        RequantizeConfig{.kind = Kind::kGemmlowp},
        RequantizeConfig{.kind = Kind::kGemmlowp,
        .gemmlowp_rounding = GemmlowpRounding::kSingle}}) {
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
