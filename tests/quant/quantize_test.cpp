#include "quant/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "models/model.h"
#include "quant/calibrate.h"

namespace widthwise {
namespace {

using testing::HasSubstr;

TensorQuantization range(float low, float high, int bits, bool is_signed, Symmetry symmetry,
                         bool power = false) {
  return range_quantization(low, high, {bits, is_signed}, symmetry, power);
}

TEST(Range, AsymmetricCoversZeroAndBothEnds) {
  const TensorQuantization u8 = range(-1, 3, 8, false, Symmetry::kAsymmetric);
  EXPECT_FLOAT_EQ(u8.scale, 4.0F / 255);
  EXPECT_EQ(u8.zero_point, 64);  // round(63.75)
  EXPECT_EQ(range(-1, 3, 8, true, Symmetry::kAsymmetric).zero_point, -64);
  EXPECT_EQ(range(2, 3, 4, false, Symmetry::kAsymmetric).zero_point, 0);  // widened to 0
  EXPECT_FLOAT_EQ(range(2, 3, 4, false, Symmetry::kAsymmetric).scale, 3.0F / 15);
  EXPECT_EQ(range(-3, -2, 4, false, Symmetry::kAsymmetric).zero_point, 15);
}

TEST(Range, SymmetricLeavesTheLeastCodeOut) {
  EXPECT_FLOAT_EQ(range(-2, 1, 4, true, Symmetry::kSymmetric).scale, 2.0F / 7);
  EXPECT_FLOAT_EQ(range(-2, 1, 2, true, Symmetry::kSymmetric).scale, 2.0F);
  EXPECT_FLOAT_EQ(range(0, 3, 4, false, Symmetry::kSymmetric).scale, 3.0F / 15);
  EXPECT_EQ(range(-2, 1, 4, true, Symmetry::kSymmetric).zero_point, 0);
}

TEST(Range, NoWidthGivesScaleOne) {
  EXPECT_EQ(range(0, 0, 8, false, Symmetry::kAsymmetric).scale, 1.0F);
  EXPECT_EQ(range(0, 1e-44F, 8, true, Symmetry::kSymmetric).scale, 1.0F);
}

TEST(Range, PowerOfTwoScalesAreRoundedUp) {
  const float scale = range(-1, 1, 8, true, Symmetry::kSymmetric, true).scale;
  EXPECT_EQ(scale, 1.0F / 64);  // 1/127 -> 1/64
  EXPECT_EQ(range(-127, 127, 8, true, Symmetry::kSymmetric, true).scale, 1.0F);
}

TEST(QuantizeValue, RoundsTiesToEvenBeforeTheZeroPoint) {
  const TensorQuantization q{.format = {8, false}, .scale = 2, .zero_point = 3};
  EXPECT_EQ(quantize_value(1, q), 3);   // 0.5 -> 0
  EXPECT_EQ(quantize_value(3, q), 5);   // 1.5 -> 2
  EXPECT_EQ(quantize_value(5, q), 5);   // 2.5 -> 2
  EXPECT_EQ(quantize_value(-1, q), 3);  // -0.5 -> 0
  EXPECT_EQ(quantize_value(-1e30F, q), 0);
  EXPECT_EQ(quantize_value(1e30F, q), 255);
}

// ifmap [1,1,2] -> conv 1x1 to 2 channels with ReLU -> conv 1x1 to 1 channel.
FloatNetwork two_layers() {
  FloatNetwork network;
  network.name = "two";
  network.tensors = {{"x", {1, 1, 2}}, {"h", {2, 1, 2}}, {"y", {1, 1, 2}}};
  network.input = 0;
  network.output = 2;
  const auto conv = [](int64_t in, int64_t out) {
    MatmulWorkload workload;
    workload.window.ifmap_channels = in;
    workload.window.ofmap_channels = out;
    workload.window.ifmap_cols = workload.window.ofmap_cols = 2;
    return workload;
  };
  FloatLayer first, second;
  first.name = "first";
  first.workload = conv(1, 2);
  first.inputs = {0};
  first.output = 1;
  first.weights = {0.5F, -4.0F};
  first.bias = {0.25F, -1.0F};
  first.low = 0;
  second.name = "second";
  second.workload = conv(2, 1);
  second.inputs = {1};
  second.output = 2;
  second.weights = {1.0F, 0.3F};
  network.layers = {first, second};
  return network;
}

const Statistics kStatistics = {{"x", {-1, 1, 1}}, {"h", {0, 2, 1}}, {"y", {-3, 3, 1}}};

TEST(Quantize, PerChannelWeightsAndTheirBias) {
  const QuantizedNetwork q = quantize(two_layers(), kStatistics, {});
  const QuantizedLayer& first = q.layers[0];
  EXPECT_EQ(first.weights, (std::vector<int32_t>{127, -127}));
  EXPECT_FLOAT_EQ(first.weight_scale(0), 0.5F / 127);
  EXPECT_FLOAT_EQ(first.weight_scale(1), 4.0F / 127);
  const double ifmap_scale = q.tensors[0].quantization.scale;
  EXPECT_EQ(first.bias[0], std::nearbyint(0.25 / (ifmap_scale * first.weight_scale(0))));
  EXPECT_EQ(first.bias[1], std::nearbyint(-1.0 / (ifmap_scale * first.weight_scale(1))));
  EXPECT_EQ(first.q_min, q.tensors[1].quantization.zero_point) << "the ReLU is the clamp";
  EXPECT_EQ(first.q_max, 255);
}

TEST(Quantize, PerTensorAndAsymmetricWeights) {
  QuantizationConfig config;
  config.per_channel = false;
  EXPECT_EQ(quantize(two_layers(), kStatistics, config).layers[0].weights,
            (std::vector<int32_t>{16, -127}));  // 0.5 / (4/127)
  config.weight = {4, false};
  config.weights = Symmetry::kAsymmetric;
  const QuantizedLayer layer = quantize(two_layers(), kStatistics, config).layers[0];
  EXPECT_EQ(layer.weight_zero_points, (std::vector<int32_t>{13}));  // 4 / 0.3 = 13.3
  EXPECT_EQ(layer.weights, (std::vector<int32_t>{15, 0}));
}

TEST(Quantize, EveryWidthStaysWithinHalfAStep) {
  for (int bits = 2; bits <= 8; ++bits) {
    QuantizationConfig config;
    config.weight.bits = config.ifmap.bits = bits;
    const FloatNetwork network = two_layers();
    const QuantizedNetwork q = quantize(network, kStatistics, config);
    for (size_t l = 0; l < q.layers.size(); ++l) {
      for (size_t i = 0; i < q.layers[l].weights.size(); ++i) {
        const float scale = q.layers[l].weight_scale(static_cast<int64_t>(
            i * q.layers[l].weight_scales.size() / q.layers[l].weights.size()));
        EXPECT_LE(std::abs(static_cast<float>(q.layers[l].weights[i]) * scale -
                           network.layers[l].weights[i]),
                  scale * 0.5001F);
      }
    }
    EXPECT_EQ(q.tensors[0].quantization.format.bits, bits);
    EXPECT_EQ(q.tensors[2].quantization.format.bits, 8) << "the output keeps 8 bits";
  }
}

TEST(Quantize, LayerBitsOverride) {
  QuantizationConfig config;
  config.ifmap.bits = config.weight.bits = 4;
  config.layers["first"] = {.ifmap = 8, .weight = 8};
  const QuantizedNetwork q = quantize(two_layers(), kStatistics, config);
  EXPECT_EQ(q.tensors[0].quantization.format.bits, 8);
  EXPECT_EQ(q.layers[0].weight_format.bits, 8);
  EXPECT_EQ(q.tensors[1].quantization.format.bits, 4);
  EXPECT_EQ(q.layers[1].weight_format.bits, 4);
}

void refused(const FloatNetwork& network, const Statistics& statistics,
             const QuantizationConfig& config, const std::string& part) {
  try {
    quantize(network, statistics, config);
    ADD_FAILURE() << "accepted, but should say: " << part;
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr(part));
    EXPECT_THAT(error.what(), HasSubstr("fix: "));
  }
}

TEST(Quantize, RefusesBadInputByName) {
  const FloatNetwork network = two_layers();
  Statistics missing = kStatistics, crossed = kStatistics, nan = kStatistics;
  missing.erase("h");
  crossed["h"] = {2, 1, 1};
  nan["y"].max = std::nanf("");
  refused(network, missing, {}, "tensor 'h' is missing");
  refused(network, crossed, {}, "tensor 'h' has range [2, 1]");
  refused(network, nan, {}, "tensor 'y'");
  QuantizationConfig one_bit, unknown, unsigned_weights, symmetric;
  one_bit.weight.bits = 1;
  unknown.layers["third"] = {.ifmap = 8, .weight = {}};
  unsigned_weights.weight.is_signed = false;
  symmetric.activations = Symmetry::kSymmetric;
  refused(network, kStatistics, one_bit, "is 1, allowed 2..8");
  refused(network, kStatistics, unknown, "it has first, second");
  refused(network, kStatistics, unsigned_weights, "unsigned and symmetric");
  refused(network, kStatistics, symmetric, "the tensor reaches -1");
  FloatNetwork huge = network;
  huge.layers[0].bias = {1e9F, 0};
  huge.layers[0].weights = {1e-9F, 1};
  refused(huge, kStatistics, {}, "bias of channel 0");
}

TEST(Quantize, PowerOfTwoScalesHoldForPoolingToo) {
  const Model model = load_network(share_folder() / "models" / "zoo" / "resnet8.onnx");
  Statistics statistics;
  for (const FloatTensor& tensor : model.network.tensors)
    statistics[tensor.name] = {-1.5F, 3.0F, 1};
  QuantizationConfig config;
  config.power_of_two_scales = true;
  const QuantizedNetwork q = quantize(model.network, statistics, config);
  const auto power_of_two = [](float scale) {
    int exponent = 0;
    return std::frexp(scale, &exponent) == 0.5F;
  };
  for (const QuantizedTensor& tensor : q.tensors)
    EXPECT_TRUE(power_of_two(tensor.quantization.scale)) << tensor.name;
  for (const QuantizedLayer& layer : q.layers) {
    for (const float scale : layer.weight_scales) EXPECT_TRUE(power_of_two(scale)) << layer.name;
    if (layer.operator_type != "GlobalAveragePool") continue;
    EXPECT_NEAR(static_cast<double>(layer.weights[0]) * layer.weight_scales[0], 1.0 / 49,
                0.5 * layer.weight_scales[0]);
    EXPECT_GE(layer.weights[0], 64) << "all bits of the format are used";
  }
}

TEST(Calibrate, FindsTheRangeOfEveryTensor) {
  const FloatNetwork network = two_layers();
  const std::vector<float> images = {1, -2, 0.5F, 3, -4, 0};  // three images of two pixels
  const ImageSource source = [&](int64_t first, int64_t count, std::span<float> values) {
    std::copy_n(images.begin() + first * 2, count * 2, values.begin());
  };
  const Statistics s = calibrate(network, source, 3, Progress::none());
  EXPECT_EQ(s.at("x").min, -4);
  EXPECT_EQ(s.at("x").max, 3);
  EXPECT_EQ(s.at("h").min, 0);
  EXPECT_NEAR(s.at("h").max, 15, 1e-4);        // -4 * -4 - 1
  EXPECT_NEAR(s.at("y").max, 15 * 0.3, 1e-4);  // channel 0 is 0 there
  EXPECT_EQ(s.at("y").images, 3);
}

}  // namespace
}  // namespace widthwise
