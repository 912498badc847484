// Widths under a budget, on networks whose sensitive layer is known.
#include "quant/choose_widths.h"

#include <algorithm>
#include <random>

#include "tests/quant/quant_support.h"

namespace widthwise {
namespace {

using namespace testing_support;
using testing::HasSubstr;

// Four classes by the greatest of four inputs. "fine" needs precise values, "coarse" multiplies a
// copy by almost nothing.
class Widths : public testing::Test {
 protected:
  Widths() {
    const std::vector<float> identity = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    std::vector<float> little = identity;
    for (float& w : little) w *= 0.001F;
    const int fine = builder_.conv("fine", 0, identity, {});
    builder_.sum("sum", fine, builder_.conv("coarse", 0, little, {}));
    std::mt19937 random(1);
    for (float& v : images_) v = static_cast<float>(random() % 1000) / 100;
    for (size_t i = 0; i < 200; ++i) {
      const auto first = images_.begin() + static_cast<std::ptrdiff_t>(4 * i);
      labels_.push_back(static_cast<int32_t>(std::max_element(first, first + 4) - first));
    }
  }
  ImageSource source() const {
    return [this](int64_t first, int64_t n, std::span<float> to) {
      std::copy_n(images_.begin() + 4 * first, 4 * n, to.begin());
    };
  }
  WidthChoice run(const WidthBudget& budget, std::vector<int> widths = {8, 6, 5, 4, 3, 2}) const {
    return choose_widths(builder_.network, source(), labels_, {}, budget, bit_operations,
                         Progress::none(), std::move(widths));
  }
  static double macs_times(int a, int b) { return 16.0 * a * b; }

  FloatBuilder builder_{{4, 1, 1}};
  std::vector<float> images_ = std::vector<float>(800);
  std::vector<int32_t> labels_;
};

TEST_F(Widths, PointsAreKeptAndTheInsensitiveLayerPays) {
  const WidthChoice choice = run({.points_lost = 4, .cost = {}});
  EXPECT_EQ(choice.float_percent, 100);
  EXPECT_GE(choice.percent, 96);
  EXPECT_EQ(choice.layers.at("coarse").ifmap, 2);
  EXPECT_EQ(choice.layers.at("coarse").weight, 2);
  EXPECT_GT(*choice.layers.at("fine").ifmap, 2);
  EXPECT_LT(*choice.layers.at("fine").weight, 8);  // 0 and 1 are codes of every width
}

TEST_F(Widths, CostIsKeptWithTheFewestSteps) {
  const double all = 2 * macs_times(8, 8);
  EXPECT_EQ(run({.points_lost = {}, .cost = all}).cost, all);
  for (const double part : {0.9, 0.6, 0.3}) {
    const WidthChoice choice = run({.points_lost = {}, .cost = part * all});
    EXPECT_LE(choice.cost, part * all);
    // The step before had cost too much; none saves more than the first one.
    EXPECT_GT(choice.cost, part * all - (macs_times(8, 8) - macs_times(8, 6)));
    double sum = 0;
    for (const auto& [name, bits] : choice.layers) sum += macs_times(*bits.ifmap, *bits.weight);
    EXPECT_EQ(choice.cost, sum);
  }
}

// What the cost budget finds by itself is found beside its own loss of points, too.
TEST_F(Widths, BothBudgetsAreKept) {
  for (const double cost : {200.0, 300.0, 500.0, 900.0}) {
    const WidthChoice found = run({.points_lost = {}, .cost = cost});
    const WidthChoice both =
        run({.points_lost = found.float_percent - found.percent, .cost = cost});
    EXPECT_LE(both.cost, cost);
    EXPECT_GE(both.percent, found.percent);
  }
}

// One width for all is never better at the same cost, as it can be than steps by sensitivities.
TEST_F(Widths, UniformNetworksAreTried) {
  std::mt19937 random(3);
  FloatBuilder b({4, 1, 1});
  int last = 0;
  for (const char* name : {"first", "second", "third"}) {
    std::vector<float> weights(16);
    for (float& w : weights) w = static_cast<float>(random() % 200) / 100 - 1;
    last = b.conv(name, last, weights, {}, 0);
  }
  builder_ = b;
  for (const int bits : {2, 3, 4, 5, 6}) {
    const WidthBudget budget{.points_lost = {}, .cost = 3 * macs_times(bits, bits)};
    const WidthChoice uniform = run(budget, {bits}), choice = run(budget);
    EXPECT_EQ(uniform.cost, *budget.cost);
    EXPECT_LE(choice.cost, uniform.cost);
    EXPECT_LE(choice.divergence, uniform.divergence) << bits;
  }
}

TEST_F(Widths, ImpossibleBudgetsAreRefused) {
  EXPECT_THAT(input_error([&] { run({}); }),
              HasSubstr("budget: points lost, cost are both missing"));
  EXPECT_THAT(input_error([&] { run({.points_lost = {}, .cost = 1}); }),
              HasSubstr("cost is 1, below 128 of 2 bits everywhere"));
  EXPECT_THAT(input_error([&] { run({.points_lost = -1, .cost = {}}); }),
              HasSubstr("points lost is -1, allowed from 0 on"));
  EXPECT_THAT(
      input_error([&] { run({.points_lost = 0.5, .cost = 129}); }),
      HasSubstr("exclude each other: the cheapest network that was found to lose 0.5 points "
                "costs 256, above 129"));
}

}  // namespace
}  // namespace widthwise
