#include "sim/distiller_runner.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

#include "core/error.h"
#include "sim/matmul_path.h"
#include "sim/reference.h"

namespace widthwise {
namespace {

using Kind = DistillerLayer::Kind;
using Mode = QuantizationMode;

// conv - relu - max-pool - conv + skip - relu - mean - flatten - fc, of random weights.
FloatNetwork some_network(std::mt19937& random) {
  std::normal_distribution<float> normal;
  const auto numbers = [&](size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = normal(random);
    return values;
  };
  constexpr int64_t kChannels = 5, kSide = 6, kHalf = 3, kClasses = 4;
  FloatNetwork n;
  n.name = "some";
  const auto add = [&](const char* name, const char* op, Workload workload, std::vector<int> inputs,
                       std::vector<int64_t> shape) -> FloatLayer& {
    n.tensors.push_back({std::string(name) + "_out", std::move(shape)});
    FloatLayer layer;
    layer.name = name;
    layer.operator_type = op;
    layer.workload = std::move(workload);
    layer.inputs = std::move(inputs);
    layer.output = static_cast<int>(n.tensors.size()) - 1;
    n.layers.push_back(std::move(layer));
    return n.layers.back();
  };
  const auto conv = [&](const char* name, int from, int64_t in, int64_t side) {
    MatmulWorkload m;
    m.window = {.ifmap_channels = in,
                .ifmap_rows = side,
                .ifmap_cols = side,
                .ofmap_channels = kChannels,
                .ofmap_rows = side,
                .ofmap_cols = side,
                .kernel_rows = 3,
                .kernel_cols = 3,
                .pad_top = 1,
                .pad_left = 1,
                .pad_bottom = 1,
                .pad_right = 1};
    FloatLayer& layer = add(name, "Conv", m, {from}, {kChannels, side, side});
    layer.weights = numbers(static_cast<size_t>(kChannels * in * 9));
    layer.bias = numbers(kChannels);
    return layer.output;
  };
  const auto relu = [&](const char* name, int from) {
    const auto shape = n.tensors[static_cast<size_t>(from)].shape;
    const ElementwiseWorkload clamp{ElementwiseWorkload::Kind::kClamp, n.tensor(from).elements()};
    FloatLayer& layer = add(name, "Relu", clamp, {from}, shape);
    layer.low = 0;
    return layer.output;
  };
  n.tensors.push_back({"x", {2, kSide, kSide}});
  n.input = 0;
  const int first = relu("relu1", conv("conv1", 0, 2, kSide));
  MaxPoolWorkload pool;
  pool.window = {.ifmap_channels = kChannels,
                 .ifmap_rows = kSide,
                 .ifmap_cols = kSide,
                 .ofmap_channels = kChannels,
                 .ofmap_rows = kHalf,
                 .ofmap_cols = kHalf,
                 .kernel_rows = 2,
                 .kernel_cols = 2,
                 .stride_rows = 2,
                 .stride_cols = 2};
  const int pooled = add("pool", "MaxPool", pool, {first}, {kChannels, kHalf, kHalf}).output;
  const int second = conv("conv2", pooled, kChannels, kHalf);
  const ElementwiseWorkload sum{ElementwiseWorkload::Kind::kAdd, kChannels * kHalf * kHalf};
  const int added =
      relu("relu2", add("add", "Add", sum, {pooled, second}, {kChannels, kHalf, kHalf}).output);
  MatmulWorkload mean;
  mean.unit_weights = true;
  mean.groups = kChannels;
  mean.window = {.ifmap_channels = kChannels,
                 .ifmap_rows = kHalf,
                 .ifmap_cols = kHalf,
                 .ofmap_channels = kChannels,
                 .kernel_rows = kHalf,
                 .kernel_cols = kHalf};
  FloatLayer& average = add("mean", "GlobalAveragePool", mean, {added}, {kChannels, 1, 1});
  average.weights.assign(static_cast<size_t>(kChannels * kHalf * kHalf), 1.0F / (kHalf * kHalf));
  const int flat_from = average.output;
  MoveWorkload move;
  move.input_elements = {kChannels};
  for (int64_t i = 0; i < kChannels; ++i) move.source.push_back(i);
  const int flat = add("flatten", "Flatten", move, {flat_from}, {kChannels}).output;
  MatmulWorkload dense;
  dense.window.ifmap_channels = kChannels;
  dense.window.ofmap_channels = kClasses;
  FloatLayer& fc = add("fc", "Gemm", dense, {flat}, {kClasses});
  fc.weights = numbers(static_cast<size_t>(kChannels * kClasses));
  fc.bias = numbers(kClasses);
  n.output = fc.output;
  return n;
}

std::vector<std::string> names(const FloatNetwork& network) {
  std::vector<std::string> all;
  for (const FloatLayer& layer : network.layers) all.push_back(layer.name);
  return all;
}

// Too narrow for what the network gives, so that it clips.
NetworkStatistics some_statistics(const FloatNetwork& network) {
  NetworkStatistics all;
  for (const FloatLayer& layer : network.layers) {
    TensorStatistics s;
    s.min = -4;
    s.max = 5;
    s.avg_min = -2;
    s.avg_max = 2;
    s.mean = 0.25;
    s.std = 1.5;
    s.b = 1;
    all[layer.name].output = s;
    for (size_t k = 0; k < layer.inputs.size(); ++k)
      all[layer.name].inputs[static_cast<int>(k)] = s;
  }
  return all;
}

// The layer's codes from what it read, one scalar operation after the other. Empty: right.
std::string product_difference(const FloatNetwork& network, const DistillerObservation& o,
                               int64_t images) {
  const auto& workload = std::get<MatmulWorkload>(network.layers[o.layer].workload);
  const DistillerValue& x = *o.inputs[0];
  const auto& w = o.description.weights;
  std::vector<int32_t> zero_points, none(static_cast<size_t>(workload.window.ofmap_channels));
  for (const LinearScale& s : w.quantization.scales)
    zero_points.push_back(static_cast<int32_t>(-s.zero_point));
  const auto in = static_cast<size_t>(workload.window.ifmap_elements()),
             out = static_cast<size_t>(workload.window.ofmap_elements()),
             pixels = static_cast<size_t>(workload.window.ofmap_pixels());
  const int64_t most = (int64_t{1} << (o.description.accumulator_bits - 1)) - 1;
  for (size_t image = 0; image < static_cast<size_t>(images); ++image) {
    const auto sums = reference_matmul(workload, std::span(x.codes).subspan(image * in, in),
                                       static_cast<int32_t>(-x.quantization.scales[0].zero_point),
                                       w.codes, none, exact_accumulation({}), zero_points);
    for (size_t i = 0; i < out; ++i) {
      const size_t oc = i / pixels;
      int64_t sum = sums.accumulators[i] + o.bias.at(oc);
      sum = std::min(std::max(sum, -most - 1), most);
      if (o.description.relu) sum = std::max<int64_t>(sum, 0);
      if (o.accumulators[image * out + i] != sum) return "accumulator";
      const float ratio =
          o.requantize_ratios.size() == 1 ? o.requantize_ratios[0] : o.requantize_ratios[oc];
      const float code =
          linear_requantize(static_cast<float>(sum), ratio, o.ofmap.quantization.scales[0],
                            o.ofmap.quantization.codes);
      if (static_cast<float>(o.ofmap.codes[image * out + i]) != code) return "code";
    }
  }
  return "";
}

std::string sum_difference(const DistillerObservation& o) {
  const LinearQuantization& q = o.ofmap.quantization;
  for (size_t i = 0; i < o.ofmap.codes.size(); ++i) {
    float sum = 0;
    for (const DistillerValue* input : o.inputs) {
      const LinearScale& s = input->quantization.scales[0];
      sum += rescaled_operand(static_cast<float>(input->codes[i]), s, q.scales[0].scale / s.scale);
    }
    if (o.description.relu) sum = std::max(sum, 0.0F);
    if (static_cast<float>(o.ofmap.codes[i]) != linear_requantize(sum, 1, q.scales[0], q.codes))
      return "sum";
  }
  return "";
}

// Every layer of a random network under random settings, static and dynamic.
RC_GTEST_PROP(DistillerRunnerProperty, IsTheScalarReference, ()) {
  std::mt19937 random(*rc::gen::inRange(0, 1 << 30));
  FloatNetwork network = some_network(random);
  const auto pick = [&](auto... values) {
    const std::vector all{values...};
    return all[random() % all.size()];
  };
  ModuleSettings s;
  s.bits_activations = pick(2, 3, 4, 7, 8, 9);
  s.bits_weights = pick(2, 4, 5, 8, 9);
  s.accumulator_bits = pick(10, 12, 16, 32);
  s.mode_activations = pick(Mode::kSymmetric, Mode::kSymmetricRestricted, Mode::kAsymmetricUnsigned,
                            Mode::kAsymmetricSigned);
  s.mode_weights = pick(Mode::kSymmetric, Mode::kSymmetricRestricted, Mode::kAsymmetricUnsigned,
                        Mode::kAsymmetricSigned);
  s.clip.clipping = pick(Clipping::kNone, Clipping::kAverage);
  s.per_channel = pick(false, true);
  if (pick(false, true)) s.approximate_bits = pick(4, 8, 16);
  const bool dynamic = pick(false, true);
  const Compat compat = pick(Compat::kNone, Compat::kDistiller04, Compat::kDistiller03);
  const auto statistics = some_statistics(network);
  const std::vector<ModuleSettings> settings(network.layers.size(), s);
  const auto modules = names(network);
  const DistillerNetwork quantized = quantize_as_distiller(std::move(network), modules, settings,
                                                           dynamic ? nullptr : &statistics, compat);
  constexpr int64_t kImages = 3;
  const DistillerRunner runner(quantized, kImages);
  std::vector<float> images(static_cast<size_t>(kImages * 2 * 36));
  std::normal_distribution<float> normal(0, 1.5F);
  for (float& x : images) x = normal(random);
  auto state = runner.make_state();
  std::string found;
  int products = 0, sums = 0;
  const auto together = runner.run(images, kImages, state, [&](const DistillerObservation& o) {
    std::string difference;
    if (o.description.kind == Kind::kProduct) {
      ++products;
      difference = product_difference(quantized.network, o, kImages);
    } else if (o.description.kind == Kind::kAdd && !s.approximate_bits) {
      ++sums;
      difference = sum_difference(o);
    }
    if (!difference.empty()) found += o.description.module + ": " + difference + "; ";
  });
  RC_ASSERT(found == "");
  RC_ASSERT(products == 3);
  RC_ASSERT(sums == (dynamic || s.approximate_bits ? 0 : 1));
  if (dynamic) return;  // ranges of a batch
  const std::vector<float> all(together.begin(), together.end());
  for (int64_t i = 0; i < kImages; ++i) {
    const auto one =
        runner.run(std::span(images).subspan(static_cast<size_t>(i * 72), 72), 1, state);
    for (size_t k = 0; k < 4; ++k) RC_ASSERT(one[k] == all[static_cast<size_t>(i) * 4 + k]);
  }
}

TEST(DistillerRunner, CountsWhatLeavesItsRange) {
  std::mt19937 random(1);
  FloatNetwork network = some_network(random);
  const auto statistics = some_statistics(network);
  const auto modules = names(network);
  ModuleSettings s;
  s.accumulator_bits = 12;
  const std::vector<ModuleSettings> settings(network.layers.size(), s);
  const DistillerNetwork quantized =
      quantize_as_distiller(std::move(network), modules, settings, &statistics, Compat::kNone);
  const DistillerRunner runner(quantized, 1);
  auto state = runner.make_state();
  std::vector<float> image(72, 0.5F);
  image[0] = 6;   // beyond 5
  image[1] = -6;  // beyond -5, the symmetric range's other end
  const CodeRange everything{-1e30F, 1e30F};
  int64_t low = 0, high = 0;
  runner.run(image, 1, state, [&](const DistillerObservation& o) {
    if (o.layer != 0) return;
    const LinearQuantization& q = *o.description.ofmap;
    for (const int32_t acc : o.accumulators) {
      const float free = linear_requantize(static_cast<float>(acc), o.requantize_ratios[0],
                                           q.scales[0], everything);
      low += free < q.codes.q_min;
      high += free > q.codes.q_max;
    }
  });
  // The same sums where nothing saturates; before the ReLU, which joins the layer.
  DistillerNetwork wide = quantized;
  for (DistillerLayer& layer : wide.layers) layer.accumulator_bits = 32;
  wide.layers[0].relu = false;
  const DistillerRunner wide_runner(wide, 1);
  auto wide_state = wide_runner.make_state();
  int64_t saturated = 0;
  wide_runner.run(image, 1, wide_state, [&](const DistillerObservation& o) {
    if (o.layer != 0) return;
    for (const int32_t acc : o.accumulators) saturated += acc > 2047 || acc < -2048;
  });
  EXPECT_EQ(state.counts[0].inputs, 72);
  EXPECT_EQ(state.counts[0].inputs_clipped, 2);
  EXPECT_EQ(state.counts[0].outputs, 180);
  EXPECT_GT(saturated, 0);
  EXPECT_EQ(state.counts[0].accumulators_saturated, saturated);
  EXPECT_EQ(state.counts[0].clipped_low, low);
  EXPECT_EQ(state.counts[0].clipped_high, high);
}

// A channel of almost no weights keeps its bias, which would otherwise be 10^16 steps.
TEST(DistillerRunner, AnAlmostDeadChannelKeepsItsBias) {
  std::mt19937 random(1);
  for (const bool per_channel : {false, true}) {
    FloatNetwork network = some_network(random);
    FloatLayer& conv = network.layers[0];
    for (size_t i = 0; i < 18 || (!per_channel && i < conv.weights.size()); ++i)
      conv.weights[i] *= 1e-12F;
    conv.bias[0] = 2.5F;
    const auto statistics = some_statistics(network);
    const auto modules = names(network);
    ModuleSettings s;
    s.per_channel = per_channel;
    const std::vector<ModuleSettings> settings(network.layers.size(), s);
    const DistillerNetwork quantized =
        quantize_as_distiller(std::move(network), modules, settings, &statistics, Compat::kNone);
    const DistillerRunner runner(quantized, 1);
    auto state = runner.make_state();
    runner.run(std::vector<float>(72, 1.0F), 1, state, [&](const DistillerObservation& o) {
      if (o.layer != 0) return;
      const LinearScale& scale = o.ofmap.quantization.scales[0];
      EXPECT_NEAR(linear_dequantize(static_cast<float>(o.ofmap.codes[0]), scale), 2.5,
                  0.51 / static_cast<double>(scale.scale));
    });
    EXPECT_EQ(state.counts[0].accumulators_saturated, 0);
  }
}

// Most values are below the ReLU that follows, which is none of what the range is for.
TEST(DistillerRunner, RangesByHistogramAreOfWhatIsBehindTheRelu) {
  std::mt19937 random(3);
  FloatNetwork network = some_network(random);
  std::vector<double> values(20000);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = i % 12 == 0 ? std::exponential_distribution(1 / 3.0)(random)
                            : std::normal_distribution(-0.5, 0.1)(random);
  const auto record = [&](double floor) {
    TensorStatistics s;
    Histogram h{1e9, -1e9, std::vector<int64_t>(2048)};
    for (const double v : values) {
      h.low = std::min(h.low, std::max(v, floor));
      h.high = std::max(h.high, v);
    }
    for (const double v : values) {
      const double part = (std::max(v, floor) - h.low) / (h.high - h.low);
      ++h.counts[std::min<size_t>(static_cast<size_t>(part * 2048), 2047)];
    }
    s.min = h.low;
    s.max = h.high;
    s.histogram = h;
    return s;
  };
  for (const Clipping clipping : {Clipping::kKl, Clipping::kMse, Clipping::kPercentile}) {
    auto statistics = some_statistics(network);
    statistics["conv1"].output = statistics["conv1"].inputs[0] = record(-100);
    ModuleSettings own;
    own.clip.clipping = clipping;
    own.bits_activations = 4;
    std::vector<ModuleSettings> settings(network.layers.size());
    settings[0] = own;
    const DistillerNetwork quantized =
        quantize_as_distiller(network, names(network), settings, &statistics, Compat::kNone);
    ActivationSettings behind = quantized.layers[0].activations;
    const float wanted = activation_quantization(behind, record(0)).scales[0].scale,
                found = quantized.layers[0].ofmap->scales[0].scale;
    EXPECT_NEAR(found, wanted, 0.03F * wanted) << clipping_name(clipping);
  }
}

TEST(DistillerRunner, RefusesABatchThatMakesNoRange) {
  std::mt19937 random(1);
  FloatNetwork network = some_network(random);
  const auto modules = names(network);
  const std::vector<ModuleSettings> settings(network.layers.size());
  const DistillerNetwork quantized =
      quantize_as_distiller(std::move(network), modules, settings, nullptr, Compat::kNone);
  const DistillerRunner runner(quantized, 1);
  auto state = runner.make_state();
  std::vector<float> image(72, 1.0F);
  image[3] = INFINITY;
  try {
    runner.run(image, 1, state);
    ADD_FAILURE() << "ran";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("layer 'conv1': values of a batch of 1 make no range"),
              std::string::npos)
        << error.what();
  }
}

// Rows are linear_requantize() and linear_quantize(), ties and huge values included.
RC_GTEST_PROP(DistillerRowsProperty, AreTheScalarFunctions, ()) {
  std::mt19937 random(*rc::gen::inRange(0, 1 << 30));
  const int bits = *rc::gen::inRange(1, 25);
  const Mode mode =
      *rc::gen::element(Mode::kSymmetric, Mode::kAsymmetricUnsigned, Mode::kAsymmetricSigned);
  LinearQuantization q{.bits = bits, .codes = code_range(bits, mode, Compat::kNone), .scales = {}};
  const float ratio =
      std::ldexp(static_cast<float>(*rc::gen::inRange(1, 9)), *rc::gen::inRange(-24, 4));
  q.scales = {{ratio, static_cast<float>(*rc::gen::inRange(-300, 301))}};
  std::vector<int32_t> accumulators(67);
  std::vector<float> values(67);
  for (size_t i = 0; i < accumulators.size(); ++i) {
    accumulators[i] = static_cast<int32_t>(random()) >> (random() % 31);
    values[i] = static_cast<float>(accumulators[i]) / 2;
  }
  std::vector<int32_t> codes(67);
  ClippingCounts counts;
  requantize_row(accumulators, ratio, q.scales[0], q, codes.data(), counts);
  int64_t clipped = 0;
  const CodeRange everything{-1e30F, 1e30F};
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto acc = static_cast<float>(accumulators[i]);
    RC_ASSERT(static_cast<float>(codes[i]) == linear_requantize(acc, ratio, q.scales[0], q.codes));
    const float free = linear_requantize(acc, ratio, q.scales[0], everything);
    clipped += free < q.codes.q_min || free > q.codes.q_max;
  }
  RC_ASSERT(counts.outputs == 67);
  RC_ASSERT(counts.clipped_low + counts.clipped_high == clipped);
  std::vector<float> rescaled(67);
  rescale_row(accumulators, q.scales[0], ratio, rescaled.data());
  for (size_t i = 0; i < codes.size(); ++i) {
    RC_ASSERT(rescaled[i] ==
              rescaled_operand(static_cast<float>(accumulators[i]), q.scales[0], ratio));
  }
  quantize_row(values, q.scales[0], q, codes.data());
  for (size_t i = 0; i < codes.size(); ++i)
    RC_ASSERT(static_cast<float>(codes[i]) == linear_quantize(values[i], q.scales[0], q.codes));
}

}  // namespace
}  // namespace widthwise
