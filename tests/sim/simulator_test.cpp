// Whole networks through the simulator against their obvious scalar execution: every code of every
// tensor, every count, every census, on every instruction set.
#include "sim/simulator.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <tbb/global_control.h>

#include "core/error.h"
#include "sim/evaluate.h"
#include "sim/layer_bounds.h"
#include "tests/sim/network_builder.h"
#include "tests/sim/plain_network.h"

namespace widthwise {
namespace {

using namespace testing_support;
constexpr auto kWrap = OverflowPolicy::kWrap;
constexpr auto kSaturate = OverflowPolicy::kSaturate;

std::span<const int32_t> slice(const std::vector<int32_t>& codes, int64_t elements, int64_t first,
                               int64_t count) {
  return std::span(codes).subspan(static_cast<size_t>(first * elements),
                                  static_cast<size_t>(count * elements));
}

// Every image run plainly, once; then simulators are compared with it.
class Expected {
 public:
  Expected(const QuantizedNetwork& network, const PlainNetwork& plain,
           const std::vector<int32_t>& images)
      : network_(network), images_(images) {
    const int64_t elements = network.tensor(network.input).elements();
    for (int64_t i = 0; i < std::ssize(images) / elements; ++i) {
      runs_.push_back(plain.run(slice(images, elements, i, 1)));
    }
  }
  int64_t images() const { return std::ssize(runs_); }
  const std::vector<PlainRun>& runs() const { return runs_; }

  OverflowCounts counts(size_t layer, int64_t first, int64_t count) const {
    LayerRecord all;
    for (int64_t i = first; i < first + count; ++i) {
      all.merge({.census = {}, .counts = runs_[static_cast<size_t>(i)].counts[layer]});
    }
    return all.counts;
  }

  // Images [first, first + count) in one batch; with_counts: the records, too.
  void compare(const Simulator& simulator, int64_t first, int64_t count, bool with_counts,
               const std::string& what) const {
    Simulator::State state = simulator.make_state();
    const int64_t in = network_.tensor(network_.input).elements();
    simulator.run(slice(images_, in, first, count), count, state);
    for (size_t t = 0; t < network_.tensors.size(); ++t) {
      std::vector<int32_t> wanted;
      for (int64_t i = first; i < first + count; ++i) {
        const auto& codes = runs_[static_cast<size_t>(i)].tensors[t];
        wanted.insert(wanted.end(), codes.begin(), codes.end());
      }
      ASSERT_EQ(state.tensors[t].codes(), wanted)
          << what << ", tensor " << t << ", batch " << count;
    }
    if (!with_counts) return;
    for (size_t l = 0; l < network_.layers.size(); ++l) {
      const OverflowCounts wanted = counts(l, first, count), &got = state.records[l].counts;
      EXPECT_EQ(got.outputs, wanted.outputs) << what << ", layer " << l;
      EXPECT_EQ(got.additions_overflowed, wanted.additions_overflowed) << what << ", layer " << l;
      EXPECT_EQ(got.outputs_hit, wanted.outputs_hit) << what << ", layer " << l;
      EXPECT_EQ(got.outputs_wrong, wanted.outputs_wrong) << what << ", layer " << l;
    }
  }

 private:
  const QuantizedNetwork& network_;
  const std::vector<int32_t>& images_;
  std::vector<PlainRun> runs_;
};

// A fully connected layer's pixels are images, so batches around a vector's width matter.
constexpr int64_t kBatches[] = {1, 15, 16, 17};

void compare_everywhere(const QuantizedNetwork& network, const Datapath& datapath,
                        const Expected& expected, RunOptions options) {
  for (const KernelTable* kernels : supported_kernels()) {
    options.kernels = kernels;
    for (const bool count : {false, true}) {
      options.count = count;
      const Simulator simulator(network, datapath, options);
      for (const int64_t batch : kBatches) {
        if (batch > expected.images()) continue;
        expected.compare(simulator, expected.images() - batch, batch, count,
                         fmt::format("{}{}", kernels->name, count ? ", counted" : ""));
      }
      const Simulator owner(QuantizedNetwork(network), datapath, options);
      expected.compare(owner, 0, 1, count, "a network of its own");
    }
  }
}

// --- requantizers ---

struct RequantizeCase {
  std::string name;
  RequantizeConfig config;
};
void PrintTo(const RequantizeCase& c, std::ostream* out) { *out << c.name; }

std::vector<RequantizeCase> requantize_cases() {
  using Kind = RequantizeConfig::Kind;
  std::vector<RequantizeCase> cases = {
      {"float32", {.kind = Kind::kFloat32}},
      {"gemmlowp", {.kind = Kind::kGemmlowp}},
      {"gemmlowp_single",
       {.kind = Kind::kGemmlowp, .gemmlowp_rounding = GemmlowpRounding::kSingle}}};
  for (const Rounding rounding : kRoundings) {
    for (const int bits : {2, 8, 16, 31}) {
      cases.push_back({fmt::format("multiplier_{}_{}", bits, rounding_name(rounding)),
                       {Kind::kMultiplierShift, bits, rounding}});
    }
    cases.push_back({fmt::format("power_of_two_{}", rounding_name(rounding)),
                     {.kind = Kind::kPowerOfTwo, .rounding = rounding}});
  }
  return cases;
}

class Requantizers : public testing::TestWithParam<RequantizeCase> {};

TEST_P(Requantizers, EveryTensorEqualsThePlainExecution) {
  Datapath datapath = wide_datapath();
  datapath.requantize = GetParam().config;
  NetworkBuilder b =
      residual_network(3, datapath.requantize.kind == RequantizeConfig::Kind::kPowerOfTwo);
  const std::vector<int32_t> images = b.images(17);
  const Expected expected(b.network, PlainNetwork(b.network, datapath), images);
  compare_everywhere(b.network, datapath, expected, {});
  // The comparison means something only where codes differ.
  for (size_t t = 0; t < b.network.tensors.size(); ++t) {
    const auto& codes = expected.runs()[0].tensors[t];
    const auto [least, greatest] = std::minmax_element(codes.begin(), codes.end());
    EXPECT_GT(*greatest - *least, 4) << "tensor " << t << " is almost constant";
  }
}
INSTANTIATE_TEST_SUITE_P(All, Requantizers, testing::ValuesIn(requantize_cases()),
                         [](const auto& test) { return test.param.name; });

// --- accumulation ---

Accumulation nested(std::vector<Stage> inner, int bits, OverflowPolicy overflow,
                    BiasMode bias = BiasMode::kPreload) {
  Accumulation a = chain(bits, overflow, bias);
  a.stages.insert(a.stages.begin(), inner.begin(), inner.end());
  return a;
}

struct AccumulationCase {
  const char* name;
  Accumulation accumulation;
  bool overflows;
};
void PrintTo(const AccumulationCase& c, std::ostream* out) { *out << c.name; }

class Accumulations : public testing::TestWithParam<AccumulationCase> {};

TEST_P(Accumulations, EveryTensorAndCountEqualsThePlainExecution) {
  Datapath datapath = wide_datapath();
  datapath.accumulation = GetParam().accumulation;
  NetworkBuilder b = residual_network(5, false, 3000);
  const std::vector<int32_t> images = b.images(17);
  const Expected expected(b.network, PlainNetwork(b.network, datapath), images);
  compare_everywhere(b.network, datapath, expected, {});
  OverflowCounts all;
  for (size_t l = 0; l < b.network.layers.size(); ++l) {
    const OverflowCounts counts = expected.counts(l, 0, expected.images());
    all.additions_overflowed += counts.additions_overflowed;
    all.outputs_wrong += counts.outputs_wrong;
  }
  EXPECT_EQ(all.additions_overflowed > 0, GetParam().overflows);
  EXPECT_EQ(all.outputs_wrong > 0, GetParam().overflows);
}

Accumulation saturated_bits(int count) {
  return Accumulation{}.with_outermost(12, OverflowPolicy::kWrapSaturatedBits, count);
}
const Stage kTree3{.kind = Stage::Kind::kTree, .length = 3};
const Stage kChain4{.length = 4, .bits = 12, .overflow = kSaturate};
const AccumulationCase kAccumulations[] = {
    {"Exact32", chain(32, kWrap), false},
    {"Exact48Saturate", chain(48, kSaturate), false},
    {"Wrap16", chain(16, kWrap), true},
    {"Wrap12", chain(12, kWrap), true},
    {"Wrap10BiasLast", chain(10, kWrap, BiasMode::kLast), true},
    {"Saturate14", chain(14, kSaturate), true},
    {"Saturate12BiasLast", chain(12, kSaturate, BiasMode::kLast), true},
    {"Saturate3", chain(3, kSaturate), true},
    {"Wrap2", chain(2, kWrap), true},
    {"Tree3Wrap12", tree_chain(3, 12, kWrap), true},
    {"Tree16Saturate13", tree_chain(16, 13, kSaturate), true},
    {"Tree16Saturate13BiasLast", tree_chain(16, 13, kSaturate, BiasMode::kLast), true},
    {"TreeWiderThanK", tree_chain(100, 11, kSaturate), true},
    {"NestedChains", nested({kChain4}, 16, kSaturate), true},
    {"NestedChainsWrap",
     nested({{.length = 4, .bits = 12, .overflow = kWrap}}, 16, kWrap, BiasMode::kLast), true},
    {"NestedWrapInSaturate", nested({{.length = 9, .bits = 13, .overflow = kWrap}}, 14, kSaturate),
     true},
    {"TreeInChainInChain", nested({kTree3, kChain4}, 14, kWrap), true},
    {"Zero12", chain(12, OverflowPolicy::kSaturateZero), true},
    {"Zero12BiasLast", chain(12, OverflowPolicy::kSaturateZero, BiasMode::kLast), true},
    {"Symmetric12", chain(12, OverflowPolicy::kSaturateSymmetric), true},
    {"Symmetric2", chain(2, OverflowPolicy::kSaturateSymmetric), true},
    {"SignMagnitude12", chain(12, OverflowPolicy::kWrapSignMagnitude), true},
    {"SaturatedBit12", saturated_bits(1), true},
    {"SaturatedBits12", saturated_bits(3), true},
    {"Tree3Zero12", tree_chain(3, 12, OverflowPolicy::kSaturateZero), true},
    {"Tree16Symmetric13", tree_chain(16, 13, OverflowPolicy::kSaturateSymmetric), true},
    {"NestedZeroInWrap",
     nested({{.length = 9, .bits = 13, .overflow = OverflowPolicy::kSaturateZero}}, 14, kWrap),
     true},
    {"NestedWrapInSignMagnitude",
     nested({{.length = 9, .bits = 13, .overflow = kWrap}}, 14, OverflowPolicy::kWrapSignMagnitude),
     true},
    {"Exact32SignMagnitude", chain(32, OverflowPolicy::kWrapSignMagnitude), false},
    {"Exact32Symmetric", chain(32, OverflowPolicy::kSaturateSymmetric), false},
    {"NestedWideEnough", nested({{.length = 4, .bits = 30}}, 32, kWrap), false},
};
INSTANTIATE_TEST_SUITE_P(Stages, Accumulations, testing::ValuesIn(kAccumulations),
                         [](const auto& test) { return test.param.name; });

TEST(Simulator, OrderOfReductionIsTheDatapaths) {
  Datapath datapath = wide_datapath();
  datapath.accumulation = chain(13, kSaturate);
  NetworkBuilder b = residual_network(5, false, 3000);
  const std::vector<int32_t> images = b.images(2);
  const PlainRun channel_first = PlainNetwork(b.network, datapath).run(slice(images, 90, 0, 1));
  using Axis = ReductionAxis;
  datapath.accumulation.order = {Axis::kCol, Axis::kChannel, Axis::kRow};
  const Expected expected(b.network, PlainNetwork(b.network, datapath), images);
  EXPECT_NE(expected.runs()[0].tensors, channel_first.tensors) << "the order does not matter here";
  compare_everywhere(b.network, datapath, expected, {});
}

TEST(Simulator, OutermostReplacesOnlyTheOutermostChain) {
  Datapath datapath = wide_datapath();
  datapath.accumulation = nested({kChain4}, 30, kWrap);
  datapath.layers["layer1"].accumulation = tree_chain(3, 24, kWrap, BiasMode::kLast);
  NetworkBuilder b = residual_network(7, false);
  const std::vector<int32_t> images = b.images(2);
  PlainNetwork plain(b.network, datapath);
  plain.outermost = RunOptions::Outermost{12, kSaturate};
  EXPECT_EQ(plain.accumulation(b.network.layers[1]), tree_chain(3, 12, kSaturate, BiasMode::kLast));
  compare_everywhere(b.network, datapath, Expected(b.network, plain, images),
                     {.outermost = plain.outermost});
}

TEST(Simulator, LayersMayHaveTheirOwnAccumulation) {
  Datapath datapath = wide_datapath();
  datapath.layers["layer0"].accumulation = chain(11, kSaturate);
  datapath.layers["layer2"].accumulation = nested({kChain4}, 12, kWrap);
  NetworkBuilder b = residual_network(8, false);
  const std::vector<int32_t> images = b.images(2);
  const Expected expected(b.network, PlainNetwork(b.network, datapath), images);
  EXPECT_GT(expected.counts(0, 0, 2).outputs_hit, 0);
  EXPECT_EQ(expected.counts(1, 0, 2).outputs_hit, 0);
  EXPECT_GT(expected.counts(2, 0, 2).outputs_hit, 0);
  compare_everywhere(b.network, datapath, expected, {});
}

// A layer whose weights reach -128 and no further: 8 bits hold it, but not symmetrically.
TEST(Simulator, SymmetricSaturationMovesASumThatEightBitsHold) {
  constexpr auto kSymmetric = OverflowPolicy::kSaturateSymmetric;
  NetworkBuilder b(1, true);
  b.bias_magnitude = 0;
  const int in = b.input({2, 1, 1}, {1, false}, 0);
  LayerShape point;
  point.group_ofmaps = 1;
  point.kernel_rows = point.kernel_cols = 1;
  point.pad_top = point.pad_left = point.pad_bottom = point.pad_right = 0;
  b.matmul(in, point, {}, {8, true});
  QuantizedLayer& layer = b.network.layers[0];
  layer.weights = {-100, -28};
  const TensorQuantization& ifmap = b.network.tensor(in).quantization;
  EXPECT_TRUE(proven_safe(layer, ifmap, chain(8, kWrap)));
  EXPECT_TRUE(proven_safe(layer, ifmap, chain(8, OverflowPolicy::kSaturateZero)));
  EXPECT_FALSE(proven_safe(layer, ifmap, chain(8, kSymmetric)));
  EXPECT_TRUE(proven_safe(layer, ifmap, chain(9, kSymmetric)));
  const Stage inner{.length = 2, .bits = 8, .overflow = kSymmetric};
  EXPECT_FALSE(proven_safe(layer, ifmap, nested({inner}, 16, kWrap)));

  const std::vector<int32_t> images = {1, 1, 1, 0, 0, 1, 0, 0};
  for (const Accumulation& accumulation : {chain(8, kSymmetric), nested({inner}, 16, kWrap)}) {
    Datapath datapath = wide_datapath();
    datapath.accumulation = accumulation;
    const Expected expected(b.network, PlainNetwork(b.network, datapath), images);
    EXPECT_EQ(expected.counts(0, 0, 4).outputs_wrong, 1);
    EXPECT_EQ(expected.counts(0, 0, 4).additions_overflowed, 1);
    compare_everywhere(b.network, datapath, expected, {});
  }
}

// --- census ---

// From the reference's running sums, image by image.
LayerCensus reference_census(const QuantizedNetwork& network, const QuantizedLayer& layer,
                             const Accumulation& accumulation, const Expected& expected) {
  LayerCensus census(layer.bias, accumulation);
  for (const PlainRun& run : expected.runs()) {
    census.add_image(reference_extremes(
        std::get<MatmulWorkload>(layer.workload), run.tensors[static_cast<size_t>(layer.ifmaps[0])],
        network.tensor(layer.ifmaps[0]).quantization.zero_point, layer.weights, layer.bias,
        accumulation, layer.weight_zero_points));
  }
  return census;
}

void expect_equal(const LayerCensus& got, const LayerCensus& wanted, const std::string& what) {
  EXPECT_EQ(got.outputs(), wanted.outputs()) << what;
  EXPECT_EQ(got.least(), wanted.least()) << what;
  EXPECT_EQ(got.greatest(), wanted.greatest()) << what;
  EXPECT_EQ(got.observed_bits(), wanted.observed_bits()) << what;
  ASSERT_EQ(got.channels(), wanted.channels()) << what;
  for (int bits = LayerCensus::kMinBits; bits <= LayerCensus::kMaxBits; ++bits) {
    for (int64_t c = 0; c < wanted.channels(); ++c) {
      EXPECT_EQ(got.hit(bits, kWrap, c), wanted.hit(bits, kWrap, c)) << what << " @ " << bits;
      EXPECT_EQ(got.hit(bits, kSaturate, c), wanted.hit(bits, kSaturate, c))
          << what << " @ " << bits;
      EXPECT_EQ(got.final_misfit(bits, c), wanted.final_misfit(bits, c)) << what << " @ " << bits;
      if (!wanted.has_inner()) continue;
      for (int inner = 2; inner <= 24; ++inner) {
        EXPECT_EQ(got.hit(inner, bits, kWrap, c), wanted.hit(inner, bits, kWrap, c))
            << what << " @ " << inner << ", " << bits;
      }
    }
  }
}

struct CensusCase {
  const char* name;
  Accumulation accumulation;
  int64_t bias_magnitude;  // beyond narrow widths: the start itself is fitted
};
void PrintTo(const CensusCase& c, std::ostream* out) { *out << c.name; }

class NetworkCensus : public testing::TestWithParam<CensusCase> {};

TEST_P(NetworkCensus, EqualsTheOneOfTheReference) {
  const CensusCase& c = GetParam();
  Datapath datapath = wide_datapath();
  datapath.accumulation = c.accumulation;
  NetworkBuilder b = residual_network(11, false, c.bias_magnitude);
  const std::vector<int32_t> images = b.images(17);
  Datapath exact = datapath;  // a census's sums are never fitted
  for (Stage& stage : exact.accumulation.stages) {
    if (stage.kind == Stage::Kind::kChain) stage.bits = 48;
  }
  const Expected expected(b.network, PlainNetwork(b.network, exact), images);
  for (const KernelTable* kernels : supported_kernels()) {
    const Simulator simulator(b.network, datapath,
                              {.outermost = {}, .census = true, .kernels = kernels});
    for (const int64_t batch : kBatches) expected.compare(simulator, 0, batch, false, c.name);
    Simulator::State state = simulator.make_state();
    for (int64_t first = 0; first < 17; first += 6) {  // 6, 6, 5
      const int64_t count = std::min<int64_t>(6, 17 - first);
      simulator.run(slice(images, 90, first, count), count, state);
    }
    for (size_t l = 0; l < b.network.layers.size(); ++l) {
      const QuantizedLayer& layer = b.network.layers[l];
      if (!std::holds_alternative<MatmulWorkload>(layer.workload)) continue;
      expect_equal(state.records[l].census,
                   reference_census(b.network, layer, c.accumulation, expected),
                   fmt::format("{}, {}, {}", c.name, kernels->name, layer.name));
    }
  }
}
const CensusCase kCensuses[] = {
    {"Chain", chain(16, kSaturate), 100},
    {"ChainBiasLast", chain(16, kWrap, BiasMode::kLast), 60000},
    {"WideBias", chain(12, kSaturate), 60000},
    {"WidestBiasInInt32", chain(12, kSaturate), (int64_t{1} << 31) - (int64_t{1} << 22)},
    {"BiasBeyondTheFastPath", chain(12, kSaturate), (int64_t{1} << 31) - 1},
    {"Tree3", tree_chain(3, 12, kWrap), 3000},
    {"Tree16BiasLast", tree_chain(16, 12, kWrap, BiasMode::kLast), 3000},
    {"Tree100", tree_chain(100, 12, kWrap), 60000},
    {"Chain4InChain", nested({kChain4}, 16, kWrap), 60000},
    {"Tree3InChain4InChain", nested({kTree3, kChain4}, 16, kSaturate), 3000},
};
INSTANTIATE_TEST_SUITE_P(Stages, NetworkCensus, testing::ValuesIn(kCensuses),
                         [](const auto& test) { return test.param.name; });

// The census of one run answers what a run at each width counts, on the first layer, whose ifmap
// is the same at every width.
TEST(Simulator, CensusPredictsTheCountsOfEveryWidth) {
  const Datapath datapath = wide_datapath();
  NetworkBuilder b = residual_network(13, false, 60000);
  const std::vector<int32_t> images = b.images(5);
  const Simulator observer(b.network, datapath, {.outermost = {}, .census = true});
  Simulator::State seen = observer.make_state();
  observer.run(images, 5, seen);
  const LayerCensus& census = seen.records[0].census;
  int64_t hits = 0;
  for (int bits = LayerCensus::kMinBits; bits <= 34; ++bits) {
    for (const OverflowPolicy policy : {kWrap, kSaturate}) {
      const Simulator narrow(b.network, datapath,
                             {.outermost = RunOptions::Outermost{bits, policy}, .count = true});
      Simulator::State state = narrow.make_state();
      narrow.run(images, 5, state);
      EXPECT_EQ(state.records[0].counts.outputs_hit, census.hit(bits, policy)) << bits;
      if (policy == kWrap) {
        EXPECT_EQ(state.records[0].counts.outputs_wrong, census.final_misfit(bits)) << bits;
      }
      if (bits >= census.observed_bits()) {
        EXPECT_EQ(state.records[0].counts.additions_overflowed, 0) << bits;
      }
      hits += state.records[0].counts.outputs_hit;
    }
  }
  EXPECT_GT(hits, 0);
  EXPECT_GT(census.hit(census.observed_bits() - 1, kWrap) +
                census.hit(census.observed_bits() - 1, kSaturate) +
                census.final_misfit(census.observed_bits() - 1),
            0)
      << "the observed width is not the narrowest";
}

// --- random networks ---

RC_GTEST_PROP(SimulatorProperty, RandomNetworksEqualThePlainExecution, ()) {
  const auto flag = [] { return *rc::gen::arbitrary<bool>(); };
  Datapath datapath = wide_datapath();
  datapath.requantize.kind =
      *rc::gen::element(RequantizeConfig::Kind::kFloat32, RequantizeConfig::Kind::kMultiplierShift,
                        RequantizeConfig::Kind::kGemmlowp, RequantizeConfig::Kind::kPowerOfTwo);
  datapath.requantize.rounding = *rc::gen::elementOf(kRoundings);
  datapath.requantize.gemmlowp_rounding =
      *rc::gen::element(GemmlowpRounding::kDouble, GemmlowpRounding::kSingle);
  datapath.requantize.multiplier_bits = *rc::gen::inRange(2, 32);
  // The fast paths have two policies; the others are drawn half the time.
  const auto policy =
      flag() ? *rc::gen::element(kWrap, kSaturate) : *rc::gen::elementOf(kOverflowPolicies);
  const auto bias = *rc::gen::element(BiasMode::kPreload, BiasMode::kLast);
  const auto bits = *rc::gen::inRange(2, 34);
  const auto lanes = *rc::gen::element<int64_t>(1, 2, 3, 5, 16);
  datapath.accumulation =
      lanes == 1 ? chain(bits, policy, bias) : tree_chain(lanes, bits, policy, bias);
  if (*rc::gen::inRange(0, 4) == 0) {
    datapath.accumulation =
        nested({{.length = lanes, .bits = 12, .overflow = policy}}, bits, policy, bias);
  }
  if (policy == OverflowPolicy::kWrapSaturatedBits) {
    for (Stage& stage : datapath.accumulation.stages) {
      if (stage.kind == Stage::Kind::kChain)
        stage.saturated_bits = *rc::gen::inRange(1, stage.bits + 1);
    }
  }
  NetworkBuilder b(*rc::gen::arbitrary<uint32_t>(),
                   datapath.requantize.kind == RequantizeConfig::Kind::kPowerOfTwo);
  b.bias_magnitude = *rc::gen::element<int64_t>(0, 300, 100000, (int64_t{1} << 31) - 1);
  const auto format = [&] { return IntegerFormat{*rc::gen::inRange(2, 9), flag()}; };
  const int64_t rows = *rc::gen::inRange<int64_t>(1, 7), cols = *rc::gen::inRange<int64_t>(1, 7);
  int last = b.input({2, rows, cols}, format(), 1);
  const int layers = *rc::gen::inRange(1, 6);
  for (int i = 0; i < layers; ++i) {
    const int64_t channels = b.network.tensor(last).shape[0];
    LayerShape s;  // padded 3x3: extents stay
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
        s.groups = flag() ? channels : 1;
        s.group_ofmaps = *rc::gen::inRange<int64_t>(1, 4);
        last = b.matmul(last, s, {.format = format(), .per_channel = flag(), .asymmetric = flag()},
                        format(), flag());
        break;
      case 1:
        last = b.sum(last, last, format(), flag());
        break;
      case 2:
        last = b.max_pool(last, {}, flag(), format());
        break;
      case 3:
        last = b.move({last, last}, 1, flag(), format());
        break;
      case 4:
        last = b.clamp(last, format());
        break;
      default:
        s.kernel_rows = s.kernel_cols = 1;
        s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = 0;
        last = b.matmul(last, s, {.format = format()}, format(), flag());
    }
    if (flag()) b.narrow();
  }
  const std::vector<int32_t> images = b.images(3);
  const Expected expected(b.network, PlainNetwork(b.network, datapath), images);
  for (const KernelTable* kernels : supported_kernels()) {
    for (const bool count : {false, true}) {
      const Simulator simulator(b.network, datapath,
                                {.outermost = {}, .count = count, .kernels = kernels});
      expected.compare(simulator, 0, 3, count, kernels->name);
    }
  }
  RC_ASSERT(!testing::Test::HasFailure());
}

// --- evaluate ---

struct Labelled {
  NetworkBuilder builder = residual_network(17, false, 3000);
  std::vector<int32_t> images = builder.images(41);  // 16, 16, 9
  std::vector<int32_t> labels;
  Labelled() {
    for (int32_t i = 0; i < 41; ++i) labels.push_back(i * 7 % 10);
  }
  CodeSource source() const {
    return {.fill =
                [this](int64_t first, int64_t count, int32_t* codes) {
                  const auto from = slice(images, 90, first, count);
                  std::copy(from.begin(), from.end(), codes);
                },
            .labels = labels};
  }
};

TEST(Evaluate, OneThreadTwoThreadsAndAnyBatchesGiveTheSame) {
  const Labelled data;
  Datapath datapath = wide_datapath();
  datapath.accumulation = chain(12, kSaturate);
  const Simulator simulator(data.builder.network, datapath, {.outermost = {}, .count = true});
  const auto run = [&](size_t threads) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    return evaluate(simulator, data.source(), Progress::none());
  };
  const Evaluation one = run(1), two = run(2);
  EXPECT_EQ(one.predictions, two.predictions);
  EXPECT_EQ(one.mean_loss, two.mean_loss);
  EXPECT_EQ(one.top5_correct, two.top5_correct);

  Simulator::State whole = simulator.make_state();
  simulator.run(data.images, 41, whole);
  const QuantizedNetwork& network = data.builder.network;
  const auto whole_output = whole.tensors[static_cast<size_t>(network.output)].codes();
  int64_t correct = 0, hit = 0;
  for (size_t i = 0; i < 41; ++i) {
    const auto logits = slice(whole_output, 10, static_cast<int64_t>(i), 1);
    const auto best = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) -
                                           logits.begin());  // the scale is positive
    EXPECT_EQ(one.predictions[i], best);
    correct += best == data.labels[i];
  }
  EXPECT_EQ(one.top1_correct, correct);
  for (size_t l = 0; l < network.layers.size(); ++l) {
    for (const Evaluation* e : {&one, &two}) {
      EXPECT_EQ(e->records[l].counts.outputs_hit, whole.records[l].counts.outputs_hit);
      EXPECT_EQ(e->records[l].counts.outputs_wrong, whole.records[l].counts.outputs_wrong);
      EXPECT_EQ(e->records[l].counts.additions_overflowed,
                whole.records[l].counts.additions_overflowed);
    }
    hit += whole.records[l].counts.outputs_hit;
  }
  EXPECT_GT(hit, 0);
}

TEST(Evaluate, MergesTheCensusOfEveryBatch) {
  const Labelled data;
  const Simulator simulator(data.builder.network, wide_datapath(),
                            {.outermost = {}, .census = true});
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 2);
  const Evaluation all = evaluate(simulator, data.source(), Progress::none());
  Simulator::State whole = simulator.make_state();
  simulator.run(data.images, 41, whole);
  for (size_t l = 0; l < whole.records.size(); ++l) {
    if (whole.records[l].census.channels() == 0) continue;
    expect_equal(all.records[l].census, whole.records[l].census, fmt::format("layer {}", l));
  }
}

TEST(Evaluate, ScoresByHand) {
  const std::vector<float> logits = {1, 3, 3, 0, -1, 2, 0.5F};
  EXPECT_EQ(score_image(logits, 1).prediction, 1) << "the lowest class of a tie";
  EXPECT_TRUE(score_image(logits, 1).top1);
  EXPECT_FALSE(score_image(logits, 2).top1);
  EXPECT_TRUE(score_image(logits, 6).top5);   // 1, 2, 5, 0 are before it
  EXPECT_FALSE(score_image(logits, 3).top5);  // and 6
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  EXPECT_NEAR(score_image(logits, 5).loss, std::log(sum) - 2, 1e-12);
}

// --- refusals ---

std::string refusal(const QuantizedNetwork& network, const Datapath& datapath,
                    const RunOptions& options = {}) {
  try {
    const Simulator simulator(network, datapath, options);
  } catch (const InputError& error) {
    EXPECT_FALSE(error.problem().fix.empty());
    return error.what();
  }
  ADD_FAILURE() << "no InputError";
  return "";
}

TEST(Simulator, RefusesOperandsThatTheDatapathDoesNotTake) {
  const NetworkBuilder b = residual_network(1, false);
  Datapath datapath = wide_datapath();
  datapath.ifmap = {8, false};  // the third layer's ifmap is int8
  EXPECT_THAT(refusal(b.network, datapath),
              testing::HasSubstr("layer 'layer2': ifmap is int8, the datapath takes uint8"));
  datapath = wide_datapath();
  datapath.weight = {7, true};
  EXPECT_THAT(refusal(b.network, datapath),
              testing::HasSubstr("layer 'layer0': weight is int8, the datapath takes int7"));
  datapath.layers["layer0"].weight_bits = 8;  // now the next one that is too wide
  EXPECT_THAT(refusal(b.network, datapath), testing::HasSubstr("layer 'layer11'"));
  datapath.layers["layer11"].weight_bits = 8;
  EXPECT_NO_THROW(Simulator(b.network, datapath));
}

TEST(Simulator, RefusesScalesThatAShiftCannotGive) {
  Datapath datapath = wide_datapath();
  datapath.requantize.kind = RequantizeConfig::Kind::kPowerOfTwo;
  NetworkBuilder b = residual_network(1, true);
  EXPECT_NO_THROW(Simulator(b.network, datapath));
  b.network.layers[1].weight_scales[2] *= 1.5F;
  EXPECT_THAT(refusal(b.network, datapath),
              testing::HasSubstr("layer 'layer1': requantize cannot be power_of_two"));
  NetworkBuilder sum = residual_network(1, true);
  sum.network.tensors[4].quantization.scale *= 3;  // of the addition
  EXPECT_THAT(refusal(sum.network, datapath), testing::HasSubstr("layer 'layer3': requantize"));
}

TEST(Simulator, RefusesReductionsThatSixtyFourBitsDoNotHold) {
  NetworkBuilder b = residual_network(1, false);
  auto& workload = std::get<MatmulWorkload>(b.network.layers[1].workload);
  ASSERT_NE(b.network.layers[1].name, "");
  workload.window.kernel_rows = (int64_t{1} << 24) / workload.group_ifmap_channels() + 1;
  EXPECT_THAT(refusal(b.network, wide_datapath()),
              testing::HasSubstr("layer '" + b.network.layers[1].name + "': reduction is "));
}

TEST(Simulator, RefusesACensusOfThreeChains) {
  const NetworkBuilder b = residual_network(1, false);
  Datapath datapath = wide_datapath();
  datapath.layers["layer2"].accumulation = nested({kChain4, kChain4}, 16, kWrap);
  EXPECT_NO_THROW(Simulator(b.network, datapath));
  EXPECT_THAT(refusal(b.network, datapath, {.outermost = {}, .census = true}),
              testing::HasSubstr("layer 'layer2': accumulation.stages are [chain 4 @ 12"));
}

TEST(Simulator, RefusesACensusOfOtherPolicies) {
  const NetworkBuilder b = residual_network(1, false);
  const RunOptions census{.outermost = {}, .census = true};
  for (const OverflowPolicy policy : kOverflowPolicies) {
    Datapath datapath = wide_datapath();
    datapath.layers["layer2"].accumulation =
        tree_chain(4, 16, policy)
            .with_outermost(16, policy, policy == OverflowPolicy::kWrapSaturatedBits ? 1 : 0);
    if (is_wrap_or_saturate(policy)) {
      EXPECT_NO_THROW(Simulator(b.network, datapath, census));
      continue;
    }
    EXPECT_NO_THROW(Simulator(b.network, datapath));
    EXPECT_THAT(refusal(b.network, datapath, census),
                testing::HasSubstr(fmt::format("layer 'layer2': accumulation.stages[1].overflow is "
                                               "{}, a census covers wrap and saturate",
                                               overflow_policy_name(policy))));
  }
}

}  // namespace
}  // namespace widthwise
