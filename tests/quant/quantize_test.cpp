// Networks quantized by hand: weights, biases, bits, what passes a quantization on, and refusals.
#include "quant/quantize.h"

#include <cmath>
#include <random>

#include "tests/quant/quant_support.h"

namespace widthwise {
namespace {

using namespace testing_support;
using testing::HasSubstr;

const TensorQuantization& of(const QuantizedNetwork& network, int tensor) {
  return network.tensor(tensor).quantization;
}

TEST(Quantize, TwoChannelsByHand) {
  FloatBuilder b({2, 1, 1});
  b.conv("conv", 0, {0.5F, -1.27F, 2.54F, 0.01F}, {0.1F, -0.3F});
  const Statistics statistics = {{"x", {0, 2.55F, 1}}, {"conv_out", {-1, 1.55F, 1}}};
  const QuantizedNetwork q = quantize(b.network, statistics, {});
  EXPECT_EQ(q.name, "made");
  EXPECT_FLOAT_EQ(of(q, 0).scale, 0.01F);
  EXPECT_EQ(of(q, 0).zero_point, 0);
  EXPECT_EQ(of(q, 1).zero_point, 100);
  const QuantizedLayer& layer = q.layers[0];
  EXPECT_EQ(layer.weight_format, (IntegerFormat{8, true}));
  ASSERT_EQ(layer.weight_scales.size(), 2u);
  EXPECT_FLOAT_EQ(layer.weight_scales[0], 0.01F);
  EXPECT_FLOAT_EQ(layer.weight_scales[1], 0.02F);
  EXPECT_EQ(layer.weights, (std::vector<int32_t>{50, -127, 127, 0}));  // 0.5 steps -> 0: even
  EXPECT_EQ(layer.bias, (std::vector<int32_t>{1000, -1500}));          // steps of 1e-4 and 2e-4
  EXPECT_TRUE(layer.weight_zero_points.empty());
  EXPECT_EQ(layer.q_min, 0);
  EXPECT_EQ(layer.q_max, 255);
  QuantizationConfig per_tensor;
  per_tensor.per_channel = false;
  const QuantizedLayer one = quantize(b.network, statistics, per_tensor).layers[0];
  ASSERT_EQ(one.weight_scales.size(), 1u);
  EXPECT_FLOAT_EQ(one.weight_scales[0], 0.02F);
  EXPECT_EQ(one.weights, (std::vector<int32_t>{25, -64, 127, 0}));  // -63.5 -> -64: even
  EXPECT_EQ(one.bias, (std::vector<int32_t>{500, -1500}));
}

// Codes are within half a step of the weights, for every width, symmetry and grouping.
TEST(Quantize, WeightsAreWithinHalfAStep) {
  std::mt19937 random(1);
  std::vector<float> weights(6 * 10), bias(6);
  for (size_t i = 0; i < weights.size(); ++i) {  // channels of quite different ranges
    const float range = std::ldexp(1.0F, -static_cast<int>(i / 10));
    weights[i] = range * (static_cast<float>(random() % 2001) / 1000 - 0.7F);
  }
  for (float& v : bias) v = static_cast<float>(random() % 2001) / 1000 - 1;
  FloatBuilder b({10, 1, 1});
  b.conv("conv", 0, weights, bias);
  for (int bits = 2; bits <= 8; ++bits) {
    for (const bool is_signed : {true, false}) {
      for (const Symmetry symmetry : {Symmetry::kSymmetric, Symmetry::kAsymmetric}) {
        for (const bool per_channel : {true, false}) {
          for (const bool power_of_two : {true, false}) {
            if (!is_signed && symmetry == Symmetry::kSymmetric) continue;
            QuantizationConfig config;
            config.weight = {bits, is_signed};
            config.weights = symmetry;
            config.per_channel = per_channel;
            config.power_of_two_scales = power_of_two;
            const QuantizedNetwork q = quantize(b.network, some_statistics(b.network), config);
            const QuantizedLayer& layer = q.layers[0];
            ASSERT_EQ(layer.weights.size(), weights.size());
            ASSERT_EQ(layer.weight_scales.size(), per_channel ? 6u : 1u);
            EXPECT_EQ(layer.weight_zero_points.size(),
                      symmetry == Symmetry::kSymmetric ? 0 : layer.weight_scales.size());
            for (size_t i = 0; i < weights.size(); ++i) {
              const auto oc = static_cast<int64_t>(i / 10);
              ASSERT_TRUE(layer.weight_format.holds(layer.weights[i]));
              const double step = layer.weight_scale(oc);
              const double back = step * (layer.weights[i] - layer.weight_zero_point(oc));
              // Asymmetric: the rounded zero point moves the codes of an end by half a step more.
              const double allowed = symmetry == Symmetry::kSymmetric ? 0.5001 : 1.0001;
              ASSERT_NEAR(back, weights[i], allowed * step) << bits << " bits, weight " << i;
            }
            for (size_t oc = 0; oc < bias.size(); ++oc) {
              const double step = double{of(q, 0).scale} * layer.weight_scale(int64_t(oc));
              ASSERT_EQ(layer.bias[oc], std::nearbyint(bias[oc] / step));
            }
          }
        }
      }
    }
  }
}

TEST(Quantize, BiasTiesGoToEven) {
  FloatBuilder b({1, 1, 1});
  b.conv("conv", 0, {127, 127, 127, 127}, {0.5F, 1.5F, -2.5F, 3.25F});  // weight scale 1
  const Statistics statistics = {{"x", {0, 255, 1}}, {"conv_out", {0, 255, 1}}};
  EXPECT_EQ(quantize(b.network, statistics, {}).layers[0].bias,
            (std::vector<int32_t>{0, 2, -2, 3}));
}

TEST(Quantize, LayersWithoutABiasGetZeros) {
  FloatBuilder b({1, 1, 1});
  b.conv("conv", 0, {1, 2}, {});
  EXPECT_EQ(quantize(b.network, some_statistics(b.network), {}).layers[0].bias,
            (std::vector<int32_t>{0, 0}));
}

TEST(Quantize, ReluAndClipAreTheRangeOfTheCodes) {
  FloatBuilder b({1, 1, 1});
  const int relu = b.conv("relu", 0, {1}, {}, 0);
  b.conv("relu6", relu, {1}, {}, 0, 6);
  const Statistics statistics = {{"x", {-1, 2, 1}},
                                 {"relu_out", {-1, 1.55F, 1}},
                                 {"relu6_out", {-2.55F, 22.95F, 1}}};  // scale 0.1, zero point 26
  const QuantizedNetwork q = quantize(b.network, statistics, {});
  EXPECT_EQ(q.layers[0].q_min, 100);
  EXPECT_EQ(q.layers[0].q_max, 255);
  EXPECT_EQ(of(q, 2).zero_point, 26);
  EXPECT_EQ(q.layers[1].q_min, 26);
  EXPECT_EQ(q.layers[1].q_max, 86);
}

TEST(Quantize, MovementAndMaxPoolingPassTheirQuantizationOn) {
  FloatBuilder b({1, 2, 2});
  const int conv = b.conv("conv", 0, {1, 2}, {});
  const int pooled = b.max_pool("pool", conv);
  const int moved = b.move("reshape", {pooled});
  const int joined = b.move("concat", {moved, conv});
  b.conv("last", joined, {1, 1, 1, 1}, {});
  Statistics statistics = some_statistics(b.network);
  statistics["pool_out"] = statistics["reshape_out"] = {0, 1, 1};  // a narrower range: not used
  statistics["concat_out"] = {-3, 3, 1};
  const QuantizedNetwork q = quantize(b.network, statistics, {});
  EXPECT_EQ(of(q, pooled), of(q, conv));
  EXPECT_EQ(of(q, moved), of(q, conv));
  EXPECT_FLOAT_EQ(of(q, joined).scale, 6.0F / 255);  // of its own
  statistics.erase("pool_out");
  statistics.erase("reshape_out");  // not asked for
  EXPECT_NO_THROW(quantize(b.network, statistics, {}));
}

TEST(Quantize, AveragePoolingHasUnitWeights) {
  FloatBuilder b({2, 2, 2});
  b.average("mean", b.conv("conv", 0, {1, 2, 3, 4}, {}));
  QuantizationConfig config;
  config.weight = {4, true};
  const QuantizedLayer mean = quantize(b.network, some_statistics(b.network), config).layers[1];
  EXPECT_TRUE(std::get<MatmulWorkload>(mean.workload).unit_weights);
  EXPECT_EQ(mean.weight_format, (IntegerFormat{1, false}));
  EXPECT_EQ(mean.weights, (std::vector<int32_t>(8, 1)));
  EXPECT_EQ(mean.weight_scales, (std::vector<float>{0.25F}));
  EXPECT_EQ(mean.bias, (std::vector<int32_t>{0, 0}));
}

TEST(Quantize, PowerOfTwoPoolingOfOtherCountsMultiplies) {
  FloatBuilder four({1, 2, 2}), nine({1, 3, 3});
  four.average("mean", 0);
  nine.average("mean", 0);
  QuantizationConfig config;
  config.power_of_two_scales = true;
  const auto mean_of = [&](const FloatBuilder& b) {
    return quantize(b.network, some_statistics(b.network), config).layers[0];
  };
  EXPECT_TRUE(std::get<MatmulWorkload>(mean_of(four).workload).unit_weights);
  const QuantizedLayer ninth = mean_of(nine);
  EXPECT_FALSE(std::get<MatmulWorkload>(ninth.workload).unit_weights);
  EXPECT_EQ(ninth.weight_scales, (std::vector<float>{std::ldexp(1.0F, -10)}));
  EXPECT_EQ(ninth.weights, std::vector<int32_t>(9, 114));  // 1024 / 9 = 113.8
  int exponent = 0;
  for (const QuantizedTensor& t :
       quantize(nine.network, some_statistics(nine.network), config).tensors) {
    EXPECT_EQ(std::frexp(t.quantization.scale, &exponent), 0.5F);
  }
}

TEST(Quantize, BitsAreThoseOfTheReader) {
  FloatBuilder b({1, 2, 2});
  const int first = b.conv("first", 0, {1}, {});
  const int pooled = b.max_pool("pool", first);
  const int sum = b.sum("sum", first, pooled);
  const int last = b.conv("last", b.conv("middle", sum, {1}, {}), {1}, {});
  QuantizationConfig config;
  config.ifmap = {4, false};
  config.weight = {3, true};
  config.output_bits = 12;
  config.layers["middle"] = {.ifmap = 6, .weight = {}};
  config.layers["last"] = {.ifmap = {}, .weight = 8};
  const QuantizedNetwork q = quantize(b.network, some_statistics(b.network), config);
  EXPECT_EQ(of(q, 0).format.bits, 4);
  EXPECT_EQ(of(q, first).format.bits, 4);
  EXPECT_EQ(of(q, sum).format.bits, 6);
  EXPECT_EQ(of(q, last).format.bits, 12);
  EXPECT_EQ(q.layers[0].weight_format.bits, 3);
  EXPECT_EQ(q.layers[4].weight_format.bits, 8);
}

TEST(Quantize, BitsTravelBackThroughMovement) {
  FloatBuilder b({1, 2, 2});
  const int first = b.conv("first", 0, {1}, {});
  const int moved = b.move("reshape", {b.max_pool("pool", first)});
  b.conv("last", moved, {1}, {});
  QuantizationConfig config;
  config.layers["last"] = {.ifmap = 3, .weight = {}};
  const QuantizedNetwork q = quantize(b.network, some_statistics(b.network), config);
  EXPECT_EQ(of(q, first).format.bits, 3);
  EXPECT_EQ(of(q, moved).format.bits, 3);
}

// --- refusals ---

class Refusal : public testing::Test {
 protected:
  Refusal() {
    const int first = builder_.conv("first", 0, {1}, {0.5F});
    builder_.conv("left", first, {1}, {});
    const int left = builder_.network.output;
    builder_.conv("right", first, {1}, {});
    builder_.sum("sum", left, builder_.network.output);
    statistics_ = some_statistics(builder_.network);
  }
  std::string message() const {
    return input_error([&] { quantize(builder_.network, statistics_, config_); });
  }
  FloatBuilder builder_{{1, 1, 1}};
  Statistics statistics_;
  QuantizationConfig config_;
};

TEST_F(Refusal, NothingToRefuse) {
  EXPECT_NO_THROW(quantize(builder_.network, statistics_, config_));
}
TEST_F(Refusal, TensorWithoutStatistics) {
  statistics_.erase("left_out");
  EXPECT_THAT(message(), HasSubstr("statistics: tensor 'left_out' is missing"));
}
TEST_F(Refusal, StatisticsThatAreNoRange) {
  statistics_["x"] = {std::nanf(""), 1, 1};
  EXPECT_THAT(message(), HasSubstr("tensor 'x' has range [nan, 1], allowed finite"));
  statistics_["x"] = {0, FloatBuilder::kInf, 1};
  EXPECT_THAT(message(), HasSubstr("tensor 'x' has range [0, inf]"));
  statistics_["x"] = {2, 1, 1};
  EXPECT_THAT(message(), HasSubstr("tensor 'x' has range [2, 1], allowed finite with min <= max"));
}
TEST_F(Refusal, BitsOutOfRange) {
  for (const int bits : {-1, 0, 1, 9, 99}) {
    const std::string is = "is " + std::to_string(bits) + ", allowed 2..";
    const QuantizationConfig sound = config_;
    config_.ifmap.bits = bits;
    EXPECT_THAT(message(), HasSubstr("ifmap bits " + is + "8"));
    config_ = sound;
    config_.weight.bits = bits;
    EXPECT_THAT(message(), HasSubstr("weight bits " + is + "8"));
    config_ = sound;
    config_.layers["left"].ifmap = bits;
    EXPECT_THAT(message(), HasSubstr("ifmap bits of layer 'left' " + is + "8"));
    config_ = sound;
    config_.layers["left"].weight = bits;
    EXPECT_THAT(message(), HasSubstr("weight bits of layer 'left' " + is + "8"));
    config_ = sound;
  }
  config_.output_bits = 17;
  EXPECT_THAT(message(), HasSubstr("output bits is 17, allowed 2..16"));
}
TEST_F(Refusal, ReadersThatAskForDifferentBits) {
  config_.layers["left"].ifmap = 4;
  EXPECT_THAT(message(),
              testing::AllOf(HasSubstr("tensor 'first_out': bits are 8 for one reader and 4"),
                             HasSubstr("layer 'left'")));
  config_.layers["right"].ifmap = 4;
  EXPECT_NO_THROW(quantize(builder_.network, statistics_, config_));
}
TEST_F(Refusal, UnknownLayer) {
  config_.layers["lost"].weight = 4;
  EXPECT_THAT(message(), HasSubstr("'lost' has no matmul of that name; it has first, left, right"));
  config_.layers.clear();
  config_.layers["sum"].ifmap = 4;  // no matmul
  EXPECT_THAT(message(), HasSubstr("'sum' has no matmul of that name"));
}
TEST_F(Refusal, BiasBeyondInt32) {
  std::get<MatmulWorkload>(builder_.network.layers[0].workload).unit_weights = true;
  statistics_["x"] = {0, 1e-9F, 1};
  EXPECT_THAT(message(), testing::AllOf(HasSubstr("layer 'first': bias of channel 0 is "),
                                        HasSubstr("allowed within int32")));
}
TEST_F(Refusal, WhatIsNotFinite) {
  builder_.network.layers[1].weights = {FloatBuilder::kInf};
  EXPECT_THAT(message(), HasSubstr("layer 'left': weights are not finite"));
  builder_.network.layers[0].bias = {std::nanf("")};
  EXPECT_THAT(message(), HasSubstr("layer 'first': bias values are not finite"));
}
TEST_F(Refusal, UnsignedSymmetricWeights) {
  config_.weight.is_signed = false;
  EXPECT_THAT(message(), HasSubstr("weight is unsigned and symmetric"));
  config_.weights = Symmetry::kAsymmetric;
  EXPECT_NO_THROW(quantize(builder_.network, statistics_, config_));
}
TEST_F(Refusal, UnsignedSymmetricActivationsThatAreNegative) {
  config_.activations = Symmetry::kSymmetric;
  EXPECT_THAT(message(), HasSubstr("tensor 'x': ifmap is unsigned and symmetric, but the tensor "
                                   "reaches -1"));
  for (auto& [name, range] : statistics_) range.min = 0;
  EXPECT_NO_THROW(quantize(builder_.network, statistics_, config_));
}

// Weights of almost nothing: their scale makes room for the bias, which is kept; a channel's, and
// that of a whole layer.
TEST(Quantize, ALayerThatIsAlmostDeadKeepsItsBias) {
  FloatBuilder b({2, 1, 1});
  b.conv("only", 0, {1e-9F, 1e-10F, -1e-9F, 0}, {0.5F, -0.25F});
  const Statistics statistics = some_statistics(b.network);
  QuantizationConfig config;
  config.per_channel = false;
  const QuantizedNetwork network = quantize(b.network, statistics, config);
  const QuantizedLayer& layer = network.layers[0];
  ASSERT_EQ(layer.weight_scales.size(), 1U);
  EXPECT_NEAR(layer.bias[0], 1 << 30, 1000);
  EXPECT_NEAR(layer.bias[1], -(1 << 29), 1000);
  EXPECT_EQ(layer.weights, (std::vector<int32_t>{0, 0, 0, 0}));
}
// A bias of one channel beyond what the ofmap shows is no reason to lose the others' weights.
TEST_F(Refusal, BiasBeyondTheOfmapOfOneOfTwoChannels) {
  FloatBuilder b({2, 1, 1});
  b.conv("only", 0, {0, 0, 1e-6F, -1e-6F}, {-100, 2e-6F}, 0);
  Statistics statistics = some_statistics(b.network);
  statistics["only_out"] = {0, 4e-6F, 1};
  config_.per_channel = false;
  EXPECT_THAT(input_error([&] { quantize(b.network, statistics, config_); }),
              HasSubstr("layer 'only': bias of channel 0 is "));
  config_.per_channel = true;
  const QuantizedLayer layer = quantize(b.network, statistics, config_).layers[0];
  EXPECT_EQ(layer.weights[2], 127);
}
TEST(Quantize, AChannelThatIsAlmostDeadKeepsItsBias) {
  FloatBuilder b({2, 1, 1});
  b.conv("only", 0, {1, 1, 1e-9F, 0}, {0.5F, 0.5F});
  const Statistics statistics = some_statistics(b.network);
  for (const bool power_of_two : {false, true}) {
    QuantizationConfig config;
    config.power_of_two_scales = power_of_two;
    const QuantizedLayer layer = quantize(b.network, statistics, config).layers[0];
    const auto ifmap = quantize(b.network, statistics, config).tensor(0).quantization;
    EXPECT_EQ(layer.weights[2], 0);
    for (size_t oc = 0; oc < 2; ++oc) {
      const double step = static_cast<double>(ifmap.scale) * layer.weight_scales[oc];
      EXPECT_NEAR(layer.bias[oc] * step, 0.5, 0.5 * step);
    }
    EXPECT_LT(layer.bias[1], (int64_t{1} << 30) + 1000);
    EXPECT_GT(layer.bias[1], int64_t{1} << 28);
  }
}

}  // namespace
}  // namespace widthwise
