// Whole quantized networks through Simulator against an executor made of the scalar references
// only.
#include "sim/simulator.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <tbb/global_control.h>

#include <random>

#include "core/error.h"
#include "core/requantizer.h"
#include "sim/evaluate.h"
#include "sim/reference.h"
#include "tests/sim/random_layer.h"

namespace widthwise {
namespace {

using namespace testing_support;

int add_tensor(QuantizedNetwork& network, std::vector<int64_t> shape, TensorQuantization q) {
  network.tensors.push_back({"t" + std::to_string(network.tensors.size()), std::move(shape), q});
  return static_cast<int>(network.tensors.size()) - 1;
}

QuantizedLayer make_layer(const QuantizedNetwork& network, const std::string& name,
                          Workload workload, std::vector<int> ifmaps, int ofmap) {
  QuantizedLayer layer;
  layer.name = name;
  layer.workload = std::move(workload);
  layer.ifmaps = std::move(ifmaps);
  layer.ofmap = ofmap;
  const IntegerFormat format = network.tensor(ofmap).quantization.format;
  layer.q_min = static_cast<int32_t>(format.min());
  layer.q_max = static_cast<int32_t>(format.max());
  return layer;
}

MatmulWorkload conv(int64_t in, int64_t out, int64_t groups, int64_t size, int64_t kernel,
                    int64_t stride) {
  MatmulWorkload workload;
  workload.groups = groups;
  Window& w = workload.window;
  w.ifmap_channels = in;
  w.ofmap_channels = out;
  w.ifmap_rows = w.ifmap_cols = size;
  w.kernel_rows = w.kernel_cols = kernel;
  w.stride_rows = w.stride_cols = stride;
  w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = kernel / 2;
  w.ofmap_rows = w.ofmap_cols = out_extent(size, 2 * (kernel / 2), kernel, stride, 1);
  return workload;
}

void fill(QuantizedLayer& layer, std::mt19937& random, bool asymmetric) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  layer.weight_format = asymmetric ? IntegerFormat{4, false} : IntegerFormat{4, true};
  for (int64_t i = 0; i < workload.weight_elements(); ++i) {
    layer.weights.push_back(
        draw(random, layer.weight_format.min(), layer.weight_format.max(), Data::kUniform, 0));
  }
  for (int64_t oc = 0; oc < workload.window.ofmap_channels; ++oc) {
    layer.weight_scales.push_back(0.01F * static_cast<float>(1 + random() % 9));
    if (asymmetric) layer.weight_zero_points.push_back(static_cast<int32_t>(random() % 16));
    layer.bias.push_back(draw(random, -700, 700, Data::kUniform, 0));
  }
}

// Convolution, depthwise, residual add, max-pool, concat with rescaling, pooling by ones,
// classifier.
QuantizedNetwork make_network(uint32_t seed) {
  std::mt19937 random(seed);
  const auto u4 = [&](float scale, int zero_point) {
    return TensorQuantization{.format = {4, false}, .scale = scale, .zero_point = zero_point};
  };
  QuantizedNetwork n;
  n.name = "made up";
  const int x = add_tensor(n, {2, 6, 6}, u4(0.1F, static_cast<int>(random() % 16)));
  const int a = add_tensor(n, {4, 6, 6}, u4(0.21F, 5));
  const int d = add_tensor(n, {4, 6, 6}, u4(0.17F, 9));
  const int s = add_tensor(n, {4, 6, 6}, u4(0.3F, 7));
  const int p = add_tensor(n, {4, 3, 3}, u4(0.3F, 7));
  const int c = add_tensor(n, {4, 3, 3}, u4(0.13F, 2));
  const int m = add_tensor(n, {8, 3, 3}, u4(0.19F, 3));
  const int g = add_tensor(n, {8, 1, 1}, u4(0.11F, 1));
  const int y = add_tensor(n, {10}, {.format = {8, true}, .scale = 0.02F, .zero_point = -3});
  n.input = x;
  n.output = y;
  n.layers.push_back(make_layer(n, "conv", conv(2, 4, 1, 6, 3, 1), {x}, a));
  fill(n.layers.back(), random, false);
  n.layers.back().q_min = 5;  // ReLU
  n.layers.push_back(make_layer(n, "depthwise", conv(4, 4, 4, 6, 3, 1), {a}, d));
  fill(n.layers.back(), random, true);
  n.layers.push_back(
      make_layer(n, "add", ElementwiseWorkload{ElementwiseWorkload::Kind::kAdd, 144}, {a, d}, s));
  MaxPoolWorkload pool;
  pool.window = conv(4, 4, 1, 6, 2, 2).window;
  pool.window.pad_top = pool.window.pad_left = pool.window.pad_bottom = pool.window.pad_right = 0;
  pool.window.ofmap_rows = pool.window.ofmap_cols = 3;
  n.layers.push_back(make_layer(n, "pool", pool, {s}, p));
  n.layers.push_back(make_layer(n, "pointwise", conv(4, 4, 2, 3, 1, 1), {p}, c));
  fill(n.layers.back(), random, false);
  MoveWorkload concat{.input_elements = {36, 36}, .source = {}};
  for (int64_t i = 0; i < 72; ++i)
    concat.source.push_back((i / 9 % 2) * 36 + (i / 18) * 9 + i % 9);  // shuffled
  n.layers.push_back(make_layer(n, "concat", concat, {p, c}, m));
  MatmulWorkload ones = conv(8, 8, 8, 3, 3, 1);
  ones.window.pad_top = ones.window.pad_left = ones.window.pad_bottom = ones.window.pad_right = 0;
  ones.window.ofmap_rows = ones.window.ofmap_cols = 1;
  ones.unit_weights = true;
  n.layers.push_back(make_layer(n, "average", ones, {m}, g));
  n.layers.back().weight_format = {1, false};
  n.layers.back().weights.assign(72, 1);
  n.layers.back().weight_scales = {1.0F / 9};
  n.layers.back().bias.assign(8, 0);
  n.layers.push_back(make_layer(n, "classifier", conv(8, 10, 1, 1, 1, 1), {g}, y));
  fill(n.layers.back(), random, false);
  return n;
}

Datapath make_datapath(const RequantizeConfig& config, const Accumulation& accumulation) {
  Datapath datapath;
  datapath.ifmap = {4, false};
  datapath.weight = {5, true};  // holds int4 and uint4
  datapath.requantize = config;
  datapath.accumulation = accumulation;
  return datapath;
}

struct Expected {
  std::vector<std::vector<int32_t>> tensors;
  std::vector<LayerRecord> records;
};

// One image, from the scalar rules only.
Expected run_scalar(const QuantizedNetwork& n, const Datapath& datapath,
                    const std::vector<int32_t>& input, bool census) {
  Expected result;
  result.tensors.resize(n.tensors.size());
  result.tensors[static_cast<size_t>(n.input)] = input;
  const Accumulation exact = chain(48, OverflowPolicy::kWrap, datapath.accumulation.bias);
  for (const QuantizedLayer& layer : n.layers) {
    LayerRecord record;
    std::vector<int32_t>& out = result.tensors[static_cast<size_t>(layer.ofmap)];
    const TensorQuantization& to = n.tensor(layer.ofmap).quantization;
    const auto in = [&](size_t i) -> const std::vector<int32_t>& {
      return result.tensors[static_cast<size_t>(layer.ifmaps[i])];
    };
    std::vector<ElementwiseRequantizer::Operand> operands;
    for (const int ifmap : layer.ifmaps) {
      const TensorQuantization& q = n.tensor(ifmap).quantization;
      operands.push_back({q.scale, q.zero_point, q.format.bits});
    }
    if (const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload)) {
      const TensorQuantization& from = n.tensor(layer.ifmaps[0]).quantization;
      const auto with = [&](auto&& f, const Accumulation& a) {
        return f(*matmul, in(0), from.zero_point, layer.weights, layer.bias, a,
                 layer.weight_zero_points);
      };
      const LayerSums sums = with(reference_matmul, census ? exact : datapath.accumulation),
                      wide = with(reference_matmul, exact);
      const int64_t pixels = matmul->window.ofmap_pixels();
      for (size_t i = 0; i < sums.accumulators.size(); ++i) {
        const auto oc = static_cast<int64_t>(i) / pixels;
        const Requantizer requantize(datapath.requantize, from.scale, layer.weight_scale(oc),
                                     to.scale, to.zero_point, layer.q_min, layer.q_max);
        out.push_back(requantize(sums.accumulators[i]));
        record.counts.additions_overflowed += sums.overflow_counts[i];
        record.counts.outputs_hit += sums.overflow_counts[i] != 0;
        record.counts.outputs_wrong += sums.accumulators[i] != wide.accumulators[i];
      }
      if (census) {
        record.census = LayerCensus(layer.bias, datapath.accumulation.bias);
        const PrefixExtremes e = with(reference_extremes, datapath.accumulation);
        for (int64_t oc = 0; oc < matmul->window.ofmap_channels; ++oc) {
          record.census.add_row(oc, pixels, e.sums.data() + oc * pixels, e.low.data() + oc * pixels,
                                e.high.data() + oc * pixels);
        }
      }
    } else if (std::holds_alternative<ElementwiseWorkload>(layer.workload)) {
      const ElementwiseRequantizer add(datapath.requantize, operands, to.scale, to.zero_point,
                                       layer.q_min, layer.q_max);
      for (size_t i = 0; i < in(0).size(); ++i) out.push_back(add(in(0)[i], in(1)[i]));
    } else if (const auto* move = std::get_if<MoveWorkload>(&layer.workload)) {
      for (const int64_t source : move->source) {
        const bool second = source >= move->input_elements[0];
        const ElementwiseRequantizer copy(datapath.requantize, {operands[second ? 1 : 0]}, to.scale,
                                          to.zero_point, layer.q_min, layer.q_max);
        out.push_back(copy(second ? in(1)[static_cast<size_t>(source - move->input_elements[0])]
                                  : in(0)[static_cast<size_t>(source)]));
      }
    } else {
      for (size_t i = 0; i < 36; ++i) {
        const size_t at = i / 9 * 36 + i % 9 / 3 * 12 + i % 3 * 2;
        out.push_back(std::max({in(0)[at], in(0)[at + 1], in(0)[at + 6], in(0)[at + 7]}));
      }
    }
    result.records.push_back(record);
  }
  return result;
}

std::vector<int32_t> random_images(int64_t images, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> codes;
  for (int64_t i = 0; i < images * 72; ++i) codes.push_back(static_cast<int32_t>(random() % 16));
  return codes;
}

// Returns the overflowing additions that were compared.
int64_t compare(const QuantizedNetwork& n, const Datapath& datapath, int64_t images, bool census,
                bool count, const KernelTable& kernels) {
  const std::vector<int32_t> codes = random_images(images, static_cast<uint32_t>(images));
  const Simulator simulator(
      n, datapath, {.outermost = {}, .census = census, .count = count, .kernels = &kernels});
  Simulator::State state = simulator.make_state();
  simulator.run(codes, images, state);
  std::vector<OverflowCounts> counts(n.layers.size());
  std::vector<LayerCensus> censuses(n.layers.size());
  for (int64_t image = 0; image < images; ++image) {
    const std::vector<int32_t> one(codes.begin() + image * 72, codes.begin() + (image + 1) * 72);
    const Expected expected = run_scalar(n, datapath, one, census);
    for (size_t t = 0; t < n.tensors.size(); ++t) {
      const int64_t size = n.tensors[t].elements();
      const std::vector<int32_t> got(state.tensors[t].begin() + image * size,
                                     state.tensors[t].begin() + (image + 1) * size);
      EXPECT_EQ(got, expected.tensors[t])
          << "tensor " << t << " image " << image << " " << kernels.name;
    }
    for (size_t l = 0; l < n.layers.size(); ++l) {
      counts[l].additions_overflowed += expected.records[l].counts.additions_overflowed;
      counts[l].outputs_hit += expected.records[l].counts.outputs_hit;
      counts[l].outputs_wrong += expected.records[l].counts.outputs_wrong;
      if (image == 0) {
        censuses[l] = expected.records[l].census;
      } else {
        censuses[l].merge(expected.records[l].census);
      }
    }
  }
  int64_t overflows = 0;
  for (size_t l = 0; l < n.layers.size(); ++l) {
    const LayerRecord& got = state.records[l];
    overflows += counts[l].additions_overflowed;
    if (count) {
      EXPECT_EQ(got.counts.additions_overflowed, counts[l].additions_overflowed)
          << n.layers[l].name << " " << kernels.name;
      EXPECT_EQ(got.counts.outputs_hit, counts[l].outputs_hit) << n.layers[l].name;
      EXPECT_EQ(got.counts.outputs_wrong, counts[l].outputs_wrong) << n.layers[l].name;
    }
    if (!census || censuses[l].channels() == 0) continue;
    EXPECT_EQ(got.census.least(), censuses[l].least());
    EXPECT_EQ(got.census.observed_bits(), censuses[l].observed_bits());
    for (int bits = 2; bits <= 24; ++bits) {
      EXPECT_EQ(got.census.hit(bits, OverflowPolicy::kWrap),
                censuses[l].hit(bits, OverflowPolicy::kWrap))
          << n.layers[l].name << bits << kernels.name;
      EXPECT_EQ(got.census.hit(bits, OverflowPolicy::kSaturate),
                censuses[l].hit(bits, OverflowPolicy::kSaturate))
          << n.layers[l].name << bits;
      EXPECT_EQ(got.census.final_misfit(bits), censuses[l].final_misfit(bits));
    }
  }
  return overflows;
}

Accumulation nested() {
  Accumulation accumulation = chain(9, OverflowPolicy::kSaturate);
  accumulation.stages.insert(accumulation.stages.begin(),
                             Stage{.length = 4, .bits = 7, .overflow = OverflowPolicy::kWrap});
  return accumulation;
}

TEST(Simulator, EqualsTheScalarRulesOnEveryKernelPolicyAndStageList) {
  const QuantizedNetwork n = make_network(3);
  int64_t overflows = 0;
  for (const KernelTable* kernels : supported_kernels()) {
    for (const BiasMode bias : {BiasMode::kPreload, BiasMode::kLast}) {
      for (const OverflowPolicy policy : {OverflowPolicy::kWrap, OverflowPolicy::kSaturate}) {
        for (const Accumulation& a : {chain(9, policy, bias), tree_chain(4, 9, policy, bias),
                                      tree_chain(3, 20, policy, bias)}) {
          overflows += compare(n, make_datapath({}, a), 3, false, true, *kernels);
          compare(n, make_datapath({}, a), 3, false, false, *kernels);
          compare(n, make_datapath({}, a), 3, true, false, *kernels);
        }
      }
    }
    overflows += compare(n, make_datapath({}, nested()), 2, false, true, *kernels);
  }
  EXPECT_GT(overflows, 1000);
}

TEST(Simulator, EqualsTheScalarRulesForEveryRequantizer) {
  const QuantizedNetwork n = make_network(5);
  std::vector<RequantizeConfig> configs = {{.kind = RequantizeConfig::Kind::kFloat32},
                                           {.kind = RequantizeConfig::Kind::kGemmlowp}};
  for (const Rounding rounding : {Rounding::kHalfUp, Rounding::kHalfEven, Rounding::kHalfAway,
                                  Rounding::kTruncate, Rounding::kFloor}) {
    for (const int bits : {2, 8, 16, 31})
      configs.push_back({RequantizeConfig::Kind::kMultiplierShift, bits, rounding});
  }
  for (const RequantizeConfig& config : configs) {
    for (const KernelTable* kernels : supported_kernels())
      compare(n, make_datapath(config, chain(24, OverflowPolicy::kWrap)), 2, false, false,
              *kernels);
  }
}

RC_GTEST_PROP(SimulatorProperty, RandomNetworksAndBatches, ()) {
  const auto seed = *rc::gen::arbitrary<uint32_t>();
  const auto bits = *rc::gen::inRange(4, 16);
  const auto lanes = *rc::gen::inRange<int64_t>(1, 10);
  const auto images = *rc::gen::element<int64_t>(1, 2, 5);
  const auto policy = *rc::gen::element(OverflowPolicy::kWrap, OverflowPolicy::kSaturate);
  const auto bias = *rc::gen::element(BiasMode::kPreload, BiasMode::kLast);
  compare(make_network(seed), make_datapath({}, tree_chain(lanes, bits, policy, bias)), images,
          false, *rc::gen::arbitrary<bool>(), default_kernels());
  RC_ASSERT(!testing::Test::HasFailure());
}

TEST(Simulator, BatchesAndThreadsChangeNothing) {
  const QuantizedNetwork n = make_network(7);
  const Simulator simulator(n, make_datapath({}, tree_chain(4, 10, OverflowPolicy::kSaturate)),
                            {.outermost = {}, .census = false, .count = true});
  const int64_t images = 50;
  const std::vector<int32_t> codes = random_images(images, 1),
                             labels(static_cast<size_t>(images), 4);
  const CodeSource source{
      .fill = [&](int64_t first, int64_t count,
                  int32_t* to) { std::copy_n(codes.begin() + first * 72, count * 72, to); },
      .labels = labels};
  std::vector<Evaluation> runs;
  for (const size_t threads : {1, 2}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    runs.push_back(evaluate(simulator, source, Progress::none()));
  }
  EXPECT_EQ(runs[0].predictions, runs[1].predictions);
  EXPECT_EQ(runs[0].mean_loss, runs[1].mean_loss);
  EXPECT_EQ(runs[0].records[0].counts.additions_overflowed,
            runs[1].records[0].counts.additions_overflowed);
  Simulator::State state = simulator.make_state();
  std::vector<int32_t> predictions;
  for (int64_t image = 0; image < images; ++image) {
    simulator.run(std::span(codes).subspan(static_cast<size_t>(image * 72), 72), 1, state);
    const auto& out = state.tensors[static_cast<size_t>(n.output)];
    predictions.push_back(
        static_cast<int32_t>(std::max_element(out.begin(), out.end()) - out.begin()));
  }
  EXPECT_EQ(predictions, runs[0].predictions);
}

void refused(const QuantizedNetwork& n, const Datapath& datapath, const RunOptions& options,
             const std::string& where) {
  try {
    const Simulator simulator(n, datapath, options);
    ADD_FAILURE() << "accepted, but should name " << where;
  } catch (const InputError& error) {
    EXPECT_EQ(error.problem().where, where);
  }
}

TEST(Simulator, RefusesBeforeAnyWorkNamingTheLayer) {
  const QuantizedNetwork n = make_network(1);
  Datapath narrow = make_datapath({}, chain(20, OverflowPolicy::kWrap)), thin_weights = narrow;
  narrow.ifmap = {3, false};
  thin_weights.weight = {4, true};  // the depthwise layer's uint4 do not fit
  refused(n, narrow, {}, "layer 'conv'");
  refused(n, thin_weights, {}, "layer 'depthwise'");
  refused(n,
          make_datapath({.kind = RequantizeConfig::Kind::kPowerOfTwo},
                        chain(20, OverflowPolicy::kWrap)),
          {}, "layer 'conv'");
  refused(n, make_datapath({}, nested()), {.outermost = {}, .census = true}, "layer 'conv'");
}

TEST(Score, TiesGoToTheLowerClass) {
  const std::vector<float> logits = {1, 3, 3, 0};
  EXPECT_EQ(score_image(logits, 2).prediction, 1);
  EXPECT_TRUE(score_image(logits, 1).top1);
  EXPECT_FALSE(score_image(logits, 2).top1);
  EXPECT_TRUE(score_image(logits, 3).top5);
  EXPECT_NEAR(score_image(logits, 0).loss, std::log(1 + 2 * std::exp(2.0) + std::exp(-1.0)), 1e-6);
}

}  // namespace
}  // namespace widthwise
