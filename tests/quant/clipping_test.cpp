#include "quant/clipping.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace widthwise {
namespace {

using Mode = QuantizationMode;

TensorStatistics record() {
  TensorStatistics s;
  s.min = -4;
  s.max = 8;
  s.avg_min = -2;
  s.avg_max = 5;
  s.mean = 1;
  s.std = 2;
  s.b = 1.5;
  return s;
}

struct ClipCase {
  const char* name;
  ClippingChoice choice;
  Mode mode;
  float low, high;
};
void PrintTo(const ClipCase& c, std::ostream* to) { *to << c.name; }

constexpr Mode kSym = Mode::kSymmetric, kAsym = Mode::kAsymmetricUnsigned;
// 4 bits: gauss 2.55 (half range 2.93), laplace 5.03 (6.2).
const ClipCase kClips[] = {
    {"None", {}, kAsym, -4, 8},
    {"Average", {.clipping = Clipping::kAverage}, kAsym, -2, 5},
    {"NStd", {.clipping = Clipping::kNStd, .n_stds = 2}, kAsym, -3, 5},
    {"NStdWithinMinAndMax", {.clipping = Clipping::kNStd, .n_stds = 9}, kAsym, -4, 8},
    {"GaussSymmetricReachesBeyondTheMean", {.clipping = Clipping::kGauss}, kSym, -6.1F, 6.1F},
    {"GaussBeginsAtTheAverageMinimum", {.clipping = Clipping::kGauss}, kAsym, -2, -2 + 10.2F},
    {"LaplaceSymmetric", {.clipping = Clipping::kLaplace}, kSym, -8.545F, 8.545F},
    {"LaplaceHalfRange",
     {.clipping = Clipping::kLaplace, .half_range = true},
     kAsym,
     -2,
     -2 + 9.3F},
    {"HalfRangeIsNothingToSymmetric",
     {.clipping = Clipping::kLaplace, .half_range = true},
     kSym,
     -8.545F,
     8.545F},
};

class Clips : public testing::TestWithParam<ClipCase> {};
TEST_P(Clips, GiveARange) {
  const ClipCase& c = GetParam();
  const RealRange range = clipped_range(record(), c.choice, 4, c.mode);
  EXPECT_FLOAT_EQ(range.low, c.low);
  EXPECT_FLOAT_EQ(range.high, c.high);
}
INSTANTIATE_TEST_SUITE_P(Statistics, Clips, testing::ValuesIn(kClips),
                         [](const auto& test) { return test.param.name; });

// Two samples: {0, 4}, {2, -2}; the standard deviation is that of a sample of four.
TEST(Clipping, OfATensor) {
  const float x[] = {0, 4, 2, -2};
  const auto range = [&](const ClippingChoice& choice) {
    return clipped_range(x, 2, choice, 4, kAsym);
  };
  EXPECT_EQ(range({}).low, -2);
  EXPECT_EQ(range({}).high, 4);
  EXPECT_EQ(range({.clipping = Clipping::kAverage}).low, -1);
  EXPECT_EQ(range({.clipping = Clipping::kAverage}).high, 3);
  const RealRange n_std = range({.clipping = Clipping::kNStd, .n_stds = 1});
  EXPECT_FLOAT_EQ(n_std.low, 1 - 2.5819888F);
  EXPECT_FLOAT_EQ(n_std.high, 1 + 2.5819888F);
  EXPECT_FLOAT_EQ(range({.clipping = Clipping::kLaplace}).high, -2 + 2 * 5.03F * 2);
}

TEST(Clipping, OfOneValue) {
  const float x[] = {3};
  for (const Clipping clipping : {Clipping::kGauss, Clipping::kLaplace, Clipping::kNStd}) {
    const RealRange range =
        clipped_range(x, 1, {.clipping = clipping, .n_stds = 2}, 4, QuantizationMode::kSymmetric);
    EXPECT_EQ(range.high, 3) << clipping_name(clipping);
  }
}

TEST(Clipping, NamesWhatARecordLacks) {
  TensorStatistics bare;
  bare.min = -1;
  bare.max = 1;
  const auto message = [&](const ClippingChoice& choice) -> std::string {
    try {
      clipped_range(bare, choice, 4, kAsym);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({.clipping = Clipping::kAverage}), "have no avg_min");
  EXPECT_EQ(message({.clipping = Clipping::kNStd, .n_stds = 1}), "have no mean");
  EXPECT_NE(message({.clipping = Clipping::kNStd}), "");
  EXPECT_NE(message({.clipping = Clipping::kPercentile}), "");
  EXPECT_THROW(aciq_factor(Clipping::kGauss, false, 9), std::invalid_argument);
}

}  // namespace
}  // namespace widthwise
