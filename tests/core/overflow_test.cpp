// What becomes of a value that does not fit: by hand, and against the definitions bit by bit.
#include "core/overflow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

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

struct PolicyCase {
  const char* name;
  int64_t value;
  int bits;
  OverflowPolicy policy;
  int saturated_bits;
  int64_t expected;
};
void PrintTo(const PolicyCase& c, std::ostream* out) { *out << c.name; }

constexpr auto kZero = OverflowPolicy::kSaturateZero;
constexpr auto kSymmetric = OverflowPolicy::kSaturateSymmetric;
constexpr auto kSaturatedBits = OverflowPolicy::kWrapSaturatedBits;
constexpr auto kSignMagnitude = OverflowPolicy::kWrapSignMagnitude;
constexpr PolicyCase kPolicies[] = {
    {"ZeroInside", -8, 4, kZero, 0, -8},
    {"ZeroAbove", 8, 4, kZero, 0, 0},
    {"ZeroBelow", -9, 4, kZero, 0, 0},
    {"SymmetricInside", -7, 4, kSymmetric, 0, -7},
    {"SymmetricLeast", -8, 4, kSymmetric, 0, -7},
    {"SymmetricBelow", -100, 4, kSymmetric, 0, -7},
    {"SymmetricAbove", 8, 4, kSymmetric, 0, 7},
    {"OneBitInside", -8, 4, kSaturatedBits, 1, -8},
    {"OneBitAbove", 10, 4, kSaturatedBits, 1, 2},     // 01010b: 0, 010
    {"OneBitBelow", -10, 4, kSaturatedBits, 1, -2},   // ..10110b: 1, 110
    {"TwoBitsAbove", 8, 4, kSaturatedBits, 2, 4},     // 01000b: 01, 00
    {"TwoBitsBelow", -10, 4, kSaturatedBits, 2, -6},  // ..10110b: 10, 10
    {"NoBitsIsWrap", 8, 4, kSaturatedBits, 0, -8},
    {"AllBitsIsSaturate", 100, 4, kSaturatedBits, 4, 7},
    {"MirroredAbove", 8, 4, kSignMagnitude, 0, 7},       // 01000b: 0 above 1, ~1000b
    {"MirroredBelow", -9, 4, kSignMagnitude, 0, -8},     // ..10111b: 1 above 0, ~0111b
    {"MirroredFullTurn", 16, 4, kSignMagnitude, 0, -1},  // 10000b: 1 above 0, ~0000b
    {"TwoTurnsAreTheWrap", 33, 4, kSignMagnitude, 0, 1},
};

class Policies : public testing::TestWithParam<PolicyCase> {};
TEST_P(Policies, ByHand) {
  const PolicyCase& c = GetParam();
  EXPECT_EQ(fit(c.value, c.bits, c.policy, c.saturated_bits), c.expected);
}
INSTANTIATE_TEST_SUITE_P(Cases, Policies, testing::ValuesIn(kPolicies),
                         [](const auto& test) { return test.param.name; });
static_assert(fit(8, 4, kSymmetric) == 7);

// --- the definitions, on bits written out, most significant first ---

std::string written(int64_t value, int bits) {
  std::string text;
  for (int i = bits - 1; i >= 0; --i) text += ((value >> i) & 1) != 0 ? '1' : '0';
  return text;
}

int64_t read(const std::string& text, bool is_signed) {
  int64_t value = is_signed && text[0] == '1' ? -1 : 0;
  for (const char bit : text) value = 2 * value + (bit == '1' ? 1 : 0);
  return value;
}

int64_t defined(int64_t value, IntegerFormat f, OverflowPolicy policy, int saturated_bits) {
  const bool symmetric = policy == kSymmetric && f.is_signed;
  const int64_t high = f.max(), low = symmetric ? -high : f.min();
  if (std::clamp(value, low, high) == value) return value;
  std::string bits = written(value, f.bits);
  switch (policy) {
    case OverflowPolicy::kSaturate:
    case OverflowPolicy::kSaturateSymmetric:
      return value > 0 ? high : low;
    case OverflowPolicy::kSaturateZero:
      return 0;
    case OverflowPolicy::kWrapSaturatedBits:
      // Signed: the sign, then its inverse; unsigned: all ones above, all zeros below.
      for (int i = 0; i < saturated_bits; ++i) {
        const bool one = f.is_signed && i == 0 ? value < 0 : value > 0;
        bits[static_cast<size_t>(i)] = one ? '1' : '0';
      }
      break;
    case OverflowPolicy::kWrapSignMagnitude:
      if (written(value, f.bits + 1)[0] != bits[0]) {
        for (char& bit : bits) bit = bit == '1' ? '0' : '1';
      }
      break;
    case OverflowPolicy::kWrap:
      break;
  }
  return read(bits, f.is_signed);
}

TEST(Fit, EqualsItsDefinitionAtEveryWidth) {
  std::mt19937_64 random(1);
  for (const bool is_signed : {true, false}) {
    for (int bits = 1; bits <= 16; ++bits) {
      const IntegerFormat format{bits, is_signed};
      std::vector<int64_t> values;
      const int64_t turn = int64_t{1} << bits;
      if (bits <= 6) {
        for (int64_t value = -5 * turn; value <= 5 * turn; ++value) values.push_back(value);
      }
      for (int64_t half = -10; half <= 10; ++half) {
        for (int64_t off = -3; off <= 3; ++off) values.push_back(half * turn / 2 + off);
      }
      for (int i = 0; i < 300; ++i) values.push_back(static_cast<int64_t>(random()) >> (i % 62));
      for (const OverflowPolicy policy : kOverflowPolicies) {
        if (policy == kSignMagnitude && !is_signed) continue;
        const int most = policy == kSaturatedBits ? bits : 0;
        for (int saturated_bits = 0; saturated_bits <= most; ++saturated_bits) {
          for (const int64_t value : values) {
            const int64_t got = fit(value, format, policy, saturated_bits);
            ASSERT_EQ(got, defined(value, format, policy, saturated_bits))
                << value << " in " << format.name() << ", " << overflow_policy_name(policy) << " "
                << saturated_bits;
            ASSERT_EQ(fit(got, format, policy, saturated_bits), got) << "fitted twice";
          }
        }
      }
    }
  }
}

TEST(Fit, UnsignedByHand) {
  constexpr IntegerFormat u4{4, false};
  EXPECT_EQ(fit(17, u4, OverflowPolicy::kWrap), 1);
  EXPECT_EQ(fit(-1, u4, OverflowPolicy::kWrap), 15);
  EXPECT_EQ(fit(17, u4, OverflowPolicy::kSaturate), 15);
  EXPECT_EQ(fit(-1, u4, OverflowPolicy::kSaturate), 0);
  EXPECT_EQ(fit(17, u4, kZero), 0);
  EXPECT_EQ(fit(15, u4, kZero), 15);
  EXPECT_EQ(fit(17, u4, kSymmetric), 15);
  EXPECT_EQ(fit(-1, u4, kSymmetric), 0);
}

}  // namespace
}  // namespace widthwise
