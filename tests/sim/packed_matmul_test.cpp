// Every kernel of every instruction set against the scalar reference: sums and overflow counts.
#include "sim/packed_matmul.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "sim/reference.h"
#include "tests/sim/compared.h"
#include "tests/sim/random_layer.h"

namespace widthwise {
namespace {

using namespace testing_support;

class Collect : public PanelSink {
 public:
  explicit Collect(const RandomLayer& layer) : window_(layer.workload().window) {
    const auto size = static_cast<size_t>(layer.images * window_.ofmap_elements());
    for (auto* values : {&sums, &low, &high, &inner_low, &inner_high, &counts})
      values->assign(size, 0);
  }
  void panel(int64_t channel, int64_t first, int64_t count, const PanelSums& panel) override {
    for_each_part(window_, channel, first, count, [&](int64_t from, int64_t to, int64_t length) {
      const auto keep = [&](const int32_t* values, std::vector<int64_t>& kept) {
        if (values != nullptr) std::copy_n(values + from, length, kept.begin() + to);
      };
      keep(panel.sums, sums);
      keep(panel.low, low);
      keep(panel.high, high);
      keep(panel.inner_low, inner_low);
      keep(panel.inner_high, inner_high);
      keep(panel.counts, counts);
    });
  }
  std::vector<int64_t> sums, low, high, inner_low, inner_high, counts;

 private:
  Window window_;
};

struct Expected {
  std::vector<int64_t> sums, low, high, inner_low, inner_high, counts;
  int64_t overflows = 0;
};

Expected expect(const RandomLayer& l, const Accumulation& accumulation, KernelMode mode) {
  Expected all;
  const auto append = [](std::vector<int64_t>& to, const std::vector<int64_t>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  for (int64_t image = 0; image < l.images; ++image) {
    const auto args = [&](auto&& function, const Accumulation& a) {
      return function(l.workload(), l.image(image), l.ifmap.zero_point, l.layer.weights,
                      l.layer.bias, a, l.layer.weight_zero_points);
    };
    if (mode == KernelMode::kExact || mode == KernelMode::kCensus) {
      const PrefixExtremes extremes = args(reference_extremes, accumulation);
      append(all.sums, extremes.sums);
      append(all.low, extremes.low);
      append(all.high, extremes.high);
      append(all.inner_low, extremes.inner_low);
      append(all.inner_high, extremes.inner_high);
    } else {
      const LayerSums sums = args(reference_matmul, accumulation);
      append(all.sums, sums.accumulators);
      append(all.counts, sums.overflow_counts);
    }
  }
  for (const int64_t count : all.counts) all.overflows += count;
  return all;
}

// Returns the overflowing additions that the comparison saw.
int64_t compare(const RandomLayer& l, const Accumulation& accumulation, KernelMode mode,
                const KernelTable& kernels) {
  const auto packed = PackedMatmul::pack(l.layer, l.ifmap, accumulation, mode, kernels);
  EXPECT_TRUE(packed) << "the fast path refuses a layer that it should take";
  if (!packed) return 0;
  Collect got(l);
  Workspace workspace;
  packed->run(l.codes, l.images, workspace, got);
  const Expected expected = expect(l, accumulation, mode);
  compared->add(l);
  EXPECT_EQ(got.sums, expected.sums) << kernels.name;
  if (mode == KernelMode::kCensus) {
    EXPECT_EQ(got.low, expected.low) << kernels.name;
    EXPECT_EQ(got.high, expected.high) << kernels.name;
    if (!expected.inner_low.empty()) {
      EXPECT_EQ(got.inner_low, expected.inner_low) << kernels.name;
      EXPECT_EQ(got.inner_high, expected.inner_high) << kernels.name;
    }
  }
  if (mode == KernelMode::kSaturateCount || mode == KernelMode::kWrapCount) {
    EXPECT_EQ(got.counts, expected.counts) << kernels.name;
  }
  return expected.overflows;
}

int64_t compare_all(const RandomLayer& l, int64_t lanes, int bits, BiasMode bias) {
  const auto with = [&](OverflowPolicy policy) {
    return lanes == 1 ? chain(bits, policy, bias) : tree_chain(lanes, bits, policy, bias);
  };
  int64_t overflows = 0;
  for (const KernelTable* kernels : supported_kernels()) {
    compare(l, with(OverflowPolicy::kWrap), KernelMode::kExact, *kernels);
    compare(l, with(OverflowPolicy::kWrap), KernelMode::kCensus, *kernels);
    compare(l, with(OverflowPolicy::kSaturate), KernelMode::kSaturate, *kernels);
    overflows += compare(l, with(OverflowPolicy::kWrap), KernelMode::kWrapCount, *kernels);
    overflows += compare(l, with(OverflowPolicy::kSaturate), KernelMode::kSaturateCount, *kernels);
  }
  return overflows;
}

struct RandomCase {
  RandomLayer layer;
  int64_t lanes;
  BiasMode bias;
};
RandomCase random_case() {
  LayerShape s;
  s.groups = *rc::gen::inRange<int64_t>(1, 4);
  s.group_ifmaps = *rc::gen::inRange<int64_t>(1, 6);
  s.group_ofmaps = *rc::gen::inRange<int64_t>(1, 7);
  s.kernel_rows = *rc::gen::inRange<int64_t>(1, 4);
  s.kernel_cols = *rc::gen::inRange<int64_t>(1, 4);
  s.dilation = *rc::gen::inRange<int64_t>(1, 3);
  s.stride = *rc::gen::inRange<int64_t>(1, 4);
  s.rows = (s.kernel_rows - 1) * s.dilation + *rc::gen::inRange<int64_t>(1, 8);
  s.cols = (s.kernel_cols - 1) * s.dilation + *rc::gen::inRange<int64_t>(1, 8);
  s.pad_top = *rc::gen::inRange<int64_t>(0, 3);
  s.pad_left = *rc::gen::inRange<int64_t>(0, 3);
  s.pad_bottom = *rc::gen::inRange<int64_t>(0, 3);
  s.pad_right = *rc::gen::inRange<int64_t>(0, 3);
  const IntegerFormat ifmap{*rc::gen::inRange(1, 9), *rc::gen::arbitrary<bool>()};
  const IntegerFormat weight{*rc::gen::inRange(1, 9), *rc::gen::arbitrary<bool>()};
  const auto zero_point = *rc::gen::inRange<int64_t>(ifmap.min(), ifmap.max() + 1);
  const auto data = *rc::gen::element(Data::kUniform, Data::kExtremes, Data::kSparse);
  const auto lanes = *rc::gen::element<int64_t>(1, 2, 3, 4, 7, 8, 16);
  const auto bias = *rc::gen::element(BiasMode::kPreload, BiasMode::kLast);
  const auto images = *rc::gen::inRange<int64_t>(1, 4);
  const auto seed = *rc::gen::arbitrary<uint32_t>();
  return {
      random_layer(s, ifmap, static_cast<int32_t>(zero_point), weight, images, data, 5000, seed),
      lanes, bias};
}

RC_GTEST_PROP(PackedMatmulProperty, EqualsTheReference, ()) {
  const RandomCase c = random_case();
  compare_all(c.layer, c.lanes, *rc::gen::inRange(4, 26), c.bias);
  RC_ASSERT(!testing::Test::HasFailure());
}

// Up to kMostOuterStages chains and trees around the innermost chain.
RC_GTEST_PROP(PackedMatmulProperty, NestedStagesEqualTheReference, ()) {
  const RandomCase c = random_case();
  const auto policy = [] {
    return *rc::gen::element(OverflowPolicy::kWrap, OverflowPolicy::kSaturate);
  };
  const auto length = [] { return *rc::gen::inRange<int64_t>(1, 12); };
  Accumulation nested{.stages = {}, .bias = c.bias};
  for (auto trees = *rc::gen::inRange(0, 3); trees > 0; --trees)
    nested.stages.push_back(
        {.kind = Stage::Kind::kTree, .length = *rc::gen::inRange<int64_t>(1, 6)});
  const Stage innermost{.length = length(), .bits = *rc::gen::inRange(2, 20), .overflow = policy()};
  nested.stages.push_back(innermost);
  const auto more = *rc::gen::inRange<int64_t>(0, kMostOuterStages);
  for (int64_t i = 0; i < more; ++i) {
    if (*rc::gen::arbitrary<bool>()) {
      nested.stages.push_back({.kind = Stage::Kind::kTree, .length = length()});
    } else {
      nested.stages.push_back(
          {.length = length(), .bits = *rc::gen::inRange(2, 34), .overflow = policy()});
    }
  }
  nested.stages.push_back({.bits = *rc::gen::inRange(2, 34), .overflow = policy()});
  const bool saturates = innermost.overflow == OverflowPolicy::kSaturate;
  for (const KernelTable* kernels : supported_kernels()) {
    compare(c.layer, nested, saturates ? KernelMode::kSaturateCount : KernelMode::kWrapCount,
            *kernels);
    if (saturates) compare(c.layer, nested, KernelMode::kSaturate, *kernels);
    if (suits_census(nested)) compare(c.layer, nested, KernelMode::kCensus, *kernels);
  }
  RC_ASSERT(!testing::Test::HasFailure());
}

// K = 1, 2^n, 2^n +- 1 at both extremes, narrow enough that additions are seen to overflow.
TEST(PackedMatmul, ReductionLengthsAtTheExtremes) {
  for (const int64_t length : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65}) {
    const LayerShape s = point_shape(length, 5, 3, 4);
    for (const int64_t lanes : {1, 3, 4, 16}) {
      const RandomLayer l = random_layer(s, {8, false}, 0, {8, true}, 3, Data::kExtremes, 100,
                                         static_cast<uint32_t>(length));
      for (const BiasMode bias : {BiasMode::kPreload, BiasMode::kLast}) {
        const int64_t overflows = compare_all(l, lanes, 15, bias);
        if (length > 3) {
          EXPECT_GT(overflows, 0) << "stimulus does not overflow at K = " << length;
        }
      }
    }
  }
}

TEST(PackedMatmul, FullyConnectedTakesImagesAsPixels) {
  const LayerShape s = point_shape(40, 10, 1, 1);
  for (const int64_t images : {1, 15, 16, 17, 33}) {
    EXPECT_GT(
        compare_all(random_layer(s, {8, false}, 3, {8, true}, images, Data::kUniform, 1000, 5), 16,
                    16, BiasMode::kPreload),
        0);
  }
}

TEST(PackedMatmul, EveryWidthFromFourToTwentyFour) {
  const RandomLayer l = random_layer({.group_ifmaps = 12, .group_ofmaps = 3}, {8, false}, 0,
                                     {8, true}, 1, Data::kSparse, 3000, 9);
  for (int bits = 4; bits <= 24; ++bits) {
    const int64_t overflows = compare_all(l, 1, bits, BiasMode::kPreload);
    if (bits <= 17) {
      EXPECT_GT(overflows, 0) << bits;
    }
  }
}

TEST(PackedMatmul, AsymmetricWeights) {
  RandomLayer l = random_layer({.group_ifmaps = 4, .group_ofmaps = 3}, {4, false}, 2, {4, false}, 2,
                               Data::kUniform, 50, 3);
  l.layer.weight_zero_points = {7, 0, 15};
  EXPECT_GT(compare_all(l, 4, 8, BiasMode::kPreload), 0);
}

TEST(PackedMatmul, RefusesWhatInt32CannotHold) {
  const KernelTable& kernels = default_kernels();
  const RandomLayer wide =
      random_layer({.group_ifmaps = 64}, {15, false}, 0, {15, true}, 1, Data::kExtremes, 0, 1);
  EXPECT_FALSE(PackedMatmul::pack(wide.layer, wide.ifmap, chain(24, OverflowPolicy::kWrap),
                                  KernelMode::kExact, kernels));
  const RandomLayer narrow = random_layer({}, {8, false}, 0, {8, true}, 1, Data::kExtremes, 0, 1);
  for (const OverflowPolicy policy : kOverflowPolicies) {  // each fitted mode has one policy
    const auto packs = [&](KernelMode mode) {
      return PackedMatmul::pack(narrow.layer, narrow.ifmap, chain(12, policy), mode, kernels)
          .has_value();
    };
    EXPECT_EQ(packs(KernelMode::kWrapCount), policy == OverflowPolicy::kWrap);
    EXPECT_EQ(packs(KernelMode::kSaturate), policy == OverflowPolicy::kSaturate);
    EXPECT_EQ(packs(KernelMode::kSaturateCount), policy == OverflowPolicy::kSaturate);
    EXPECT_TRUE(packs(KernelMode::kExact));
  }
  Accumulation deep = chain(24, OverflowPolicy::kSaturate);
  for (int64_t i = 0; i <= kMostOuterStages; ++i) {
    EXPECT_TRUE(
        PackedMatmul::pack(narrow.layer, narrow.ifmap, deep, KernelMode::kSaturate, kernels));
    deep.stages.insert(deep.stages.begin(),
                       Stage{.length = 4, .bits = 12, .overflow = OverflowPolicy::kSaturate});
  }
  EXPECT_FALSE(
      PackedMatmul::pack(narrow.layer, narrow.ifmap, deep, KernelMode::kSaturate, kernels));
}

TEST(PackedMatmul, ChainsOfThirtyOneBitsAndMore) {
  RandomLayer l =
      random_layer(point_shape(28, 3), {15, false}, 0, {12, true}, 2, Data::kExtremes, 0, 4);
  std::fill_n(l.codes.begin(), 28, 32767);
  std::fill_n(l.layer.weights.begin(), 28, 2047);
  std::fill_n(l.layer.weights.begin() + 28, 28, -2048);
  for (const int bits : {30, 31, 32, 33, 48})
    EXPECT_EQ(compare_all(l, 1, bits, BiasMode::kPreload) > 0, bits < 32) << bits;
}

}  // namespace
}  // namespace widthwise
