// The census against brute force: the layer run at each width, hit by hit.
#include "sim/census.h"

#include <gtest/gtest.h>

#include "sim/reference.h"
#include "tests/sim/random_layer.h"

namespace widthwise {
namespace {

using namespace testing_support;

LayerCensus take(const RandomLayer& l, const Accumulation& accumulation) {
  LayerCensus census(l.layer.bias, accumulation.bias);
  const int64_t pixels = l.workload().window.ofmap_pixels();
  for (int64_t image = 0; image < l.images; ++image) {
    const PrefixExtremes e = reference_extremes(l.workload(), l.image(image), l.ifmap.zero_point,
                                                l.layer.weights, l.layer.bias, accumulation);
    for (int64_t oc = 0; oc < l.workload().window.ofmap_channels; ++oc) {
      census.add_row(oc, pixels, e.sums.data() + oc * pixels, e.low.data() + oc * pixels,
                     e.high.data() + oc * pixels);
    }
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

TEST(LayerCensus, KnowsWrapAndSaturateOnly) {
  const LayerCensus census({5, -7}, BiasMode::kPreload);
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
