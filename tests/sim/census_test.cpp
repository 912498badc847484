// The census against brute force: the layer run at each width, hit by hit.
#include "sim/census.h"

#include <gtest/gtest.h>

#include "sim/reference.h"
#include "tests/sim/random_layer.h"

namespace widthwise {
namespace {

using namespace testing_support;

LayerCensus take(const RandomLayer& l, const Accumulation& accumulation) {
  LayerCensus census(l.layer.bias, accumulation);
  for (int64_t image = 0; image < l.images; ++image) {
    census.add_image(reference_extremes(l.workload(), l.image(image), l.ifmap.zero_point,
                                        l.layer.weights, l.layer.bias, accumulation));
  }
  return census;
}

struct CensusCase {
  const char* name;
  int64_t lanes;
  BiasMode bias;
  int64_t bias_magnitude;  // beyond the narrow widths, so that the start itself is fitted
};
void PrintTo(const CensusCase& c, std::ostream* out) { *out << c.name; }

class Census : public testing::TestWithParam<CensusCase> {};
TEST_P(Census, EqualsBruteForceAtEveryWidth) {
  const CensusCase& c = GetParam();
  const RandomLayer l =
      random_layer({.groups = 2, .group_ifmaps = 3, .group_ofmaps = 2}, {6, false}, 5, {6, true}, 2,
                   Data::kSparse, c.bias_magnitude, 11);
  const int64_t pixels = l.workload().window.ofmap_pixels();
  const LayerCensus census = take(l, tree_chain(c.lanes, 32, OverflowPolicy::kWrap, c.bias));
  int64_t hits_seen = 0;
  for (int bits = LayerCensus::kMinBits; bits <= 34; ++bits) {
    for (const OverflowPolicy policy : {OverflowPolicy::kWrap, OverflowPolicy::kSaturate}) {
      std::vector<int64_t> hit(static_cast<size_t>(l.workload().window.ofmap_channels)),
          misfit(hit.size());
      for (int64_t image = 0; image < l.images; ++image) {
        const auto run = [&](int width) {
          return reference_matmul(l.workload(), l.image(image), l.ifmap.zero_point, l.layer.weights,
                                  l.layer.bias, tree_chain(c.lanes, width, policy, c.bias));
        };
        const LayerSums narrow = run(bits), exact = run(48);
        for (size_t i = 0; i < narrow.accumulators.size(); ++i) {
          const auto oc = i / static_cast<size_t>(pixels);
          hit[oc] += narrow.overflow_counts[i] != 0;
          misfit[oc] += fit(exact.accumulators[i], bits, policy) != exact.accumulators[i];
        }
      }
      for (size_t oc = 0; oc < hit.size(); ++oc) {
        EXPECT_EQ(census.hit(bits, policy, static_cast<int64_t>(oc)), hit[oc])
            << bits << " " << overflow_policy_name(policy);
        EXPECT_EQ(census.hits(policy, static_cast<int64_t>(oc))[static_cast<size_t>(bits)], hit[oc])
            << bits << " " << overflow_policy_name(policy);
        EXPECT_EQ(census.final_misfit(bits, static_cast<int64_t>(oc)), misfit[oc]) << bits;
        hits_seen += hit[oc];
        if (bits >= census.observed_bits()) {
          EXPECT_EQ(hit[oc], 0) << bits;
        }
      }
    }
  }
  EXPECT_GT(hits_seen, 0);
  EXPECT_LE(census.observed_bits(), 34);
}
constexpr CensusCase kCensusCases[] = {
    {"ChainPreload", 1, BiasMode::kPreload, 100},
    {"ChainPreloadWideBias", 1, BiasMode::kPreload, 40000},
    {"ChainLast", 1, BiasMode::kLast, 40000},
    {"Tree4Preload", 4, BiasMode::kPreload, 3000},
    {"Tree5Last", 5, BiasMode::kLast, 3000},
    {"TreeWiderThanK", 64, BiasMode::kPreload, 3000},
};
INSTANTIATE_TEST_SUITE_P(Stages, Census, testing::ValuesIn(kCensusCases),
                         [](const auto& test) { return test.param.name; });

// Two chains: every pair of widths, by the policies of both.
class NestedCensus : public testing::TestWithParam<CensusCase> {};
TEST_P(NestedCensus, EqualsBruteForceAtEveryPairOfWidths) {
  const CensusCase& c = GetParam();
  const RandomLayer l = random_layer({.group_ifmaps = 5, .group_ofmaps = 2}, {4, false}, 3,
                                     {4, true}, 1, Data::kSparse, c.bias_magnitude, 12);
  const auto channels = static_cast<size_t>(l.workload().window.ofmap_channels);
  const auto pixels = static_cast<size_t>(l.workload().window.ofmap_pixels());
  const auto stages = [&](int inner_bits, OverflowPolicy inner, int bits, OverflowPolicy policy) {
    Accumulation nested = tree_chain(c.lanes, bits, policy, c.bias);
    nested.stages.insert(nested.stages.begin() + 1,
                         Stage{.length = 7, .bits = inner_bits, .overflow = inner});
    return nested;
  };
  const LayerCensus census = take(l, stages(32, OverflowPolicy::kWrap, 32, OverflowPolicy::kWrap));
  int64_t only_inside = 0, only_outside = 0;
  for (int inner_bits = 2; inner_bits <= 12; ++inner_bits) {
    for (int bits = 2; bits <= 14; ++bits) {
      for (const OverflowPolicy policy : {OverflowPolicy::kWrap, OverflowPolicy::kSaturate}) {
        for (const OverflowPolicy inner : {OverflowPolicy::kWrap, OverflowPolicy::kSaturate}) {
          const LayerSums sums =
              reference_matmul(l.workload(), l.image(0), l.ifmap.zero_point, l.layer.weights,
                               l.layer.bias, stages(inner_bits, inner, bits, policy));
          std::vector<int64_t> hit(channels);
          for (size_t i = 0; i < sums.overflow_counts.size(); ++i)
            hit[i / pixels] += sums.overflow_counts[i] != 0;
          for (size_t oc = 0; oc < channels; ++oc) {
            const auto channel = static_cast<int64_t>(oc);
            ASSERT_EQ(census.hit(inner_bits, bits, policy, channel), hit[oc])
                << inner_bits << " " << bits << " " << overflow_policy_name(policy);
            only_inside += hit[oc] - census.hit(bits, policy, channel);
            only_outside += hit[oc] - census.inner_hit(inner_bits, channel);
          }
        }
      }
    }
  }
  EXPECT_GT(only_inside, 0);
  EXPECT_GT(only_outside, 0);
  EXPECT_EQ(census.inner_hit(census.observed_inner_bits()), 0);
  EXPECT_GT(census.inner_hit(census.observed_inner_bits() - 1), 0);
}
constexpr CensusCase kNestedCases[] = {
    {"ChainPreload", 1, BiasMode::kPreload, 50},
    {"ChainPreloadWideBias", 1, BiasMode::kPreload, 4000},
    {"ChainLast", 1, BiasMode::kLast, 500},
    {"Tree2Preload", 2, BiasMode::kPreload, 500},
    {"Tree3Last", 3, BiasMode::kLast, 50},
};
INSTANTIATE_TEST_SUITE_P(Stages, NestedCensus, testing::ValuesIn(kNestedCases),
                         [](const auto& test) { return test.param.name; });

TEST(LayerCensus, KnowsWrapAndSaturateOnly) {
  const LayerCensus census({5, -7}, Accumulation{});
  for (const OverflowPolicy policy : kOverflowPolicies) {
    if (is_wrap_or_saturate(policy)) {
      EXPECT_EQ(census.hit(8, policy), 0);
    } else {
      EXPECT_THROW(census.hit(8, policy), std::logic_error) << overflow_policy_name(policy);
    }
  }
}

TEST(LayerCensus, MergesLikeOnePass) {
  RandomLayer l = random_layer({}, {8, false}, 0, {8, true}, 4, Data::kUniform, 500, 2);
  const LayerCensus whole = take(l, chain(32, OverflowPolicy::kWrap));
  const auto half = l.codes.size() / 2;
  RandomLayer first = l, second = l;
  first.images = second.images = 2;
  first.codes.resize(half);
  second.codes.erase(second.codes.begin(),
                     second.codes.begin() + static_cast<std::ptrdiff_t>(half));
  LayerCensus merged = take(first, chain(32, OverflowPolicy::kWrap));
  merged.merge(take(second, chain(32, OverflowPolicy::kWrap)));
  EXPECT_EQ(merged.outputs(), whole.outputs());
  EXPECT_EQ(merged.least(), whole.least());
  EXPECT_EQ(merged.greatest(), whole.greatest());
  for (int bits = 2; bits < 40; ++bits)
    EXPECT_EQ(merged.hit(bits, OverflowPolicy::kWrap), whole.hit(bits, OverflowPolicy::kWrap));
}

}  // namespace
}  // namespace widthwise
