// Quant, IntQuant, BipolarQuant, Trunc, MultiThreshold by hand.
#include <cmath>
#include <limits>

#include "models/ops/qonnx_quant.h"
#include "tests/models/compare.h"
#include "tests/models/node_runner.h"

namespace widthwise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Inputs = std::vector<std::optional<Tensor>>;

NodeRunner quant(const std::vector<float>& x, float scale, float zero_point, float bits,
                 int64_t is_signed, int64_t narrow, const std::string& rounding = "ROUND") {
  return {kQonnxDomain,
          "Quant",
          {Tensor::floats({static_cast<int64_t>(x.size())}, x), real(scale), real(zero_point),
           real(bits)},
          {{"signed", is_signed}, {"narrow", narrow}, {"rounding_mode", rounding}}};
}

struct RoundingCase {
  const char* name;
  std::vector<double> wanted;  // of -2.5 -1.5 -0.7 -0.2 0.2 0.7 1.5 2.5
};
void PrintTo(const RoundingCase& c, std::ostream* stream) { *stream << c.name; }
class QuantRounding : public testing::TestWithParam<RoundingCase> {};

TEST_P(QuantRounding, ByHandInAnyCase) {
  const std::vector<float> x = {-2.5, -1.5, -0.7F, -0.2F, 0.2F, 0.7F, 1.5, 2.5};
  std::string lower = GetParam().name;
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  for (const std::string& name : {std::string(GetParam().name), lower})
    EXPECT_EQ(quant(x, 1, 0, 8, 1, 0, name).reals(), GetParam().wanted) << name;
}

INSTANTIATE_TEST_SUITE_P(Modes, QuantRounding,
                         testing::Values(RoundingCase{"ROUND", {-2, -2, -1, 0, 0, 1, 2, 2}},
                                         RoundingCase{"HALF_EVEN", {-2, -2, -1, 0, 0, 1, 2, 2}},
                                         RoundingCase{"CEIL", {-2, -1, 0, 0, 1, 1, 2, 3}},
                                         RoundingCase{"FLOOR", {-3, -2, -1, -1, 0, 0, 1, 2}},
                                         RoundingCase{"UP", {-3, -2, -1, -1, 1, 1, 2, 3}},
                                         RoundingCase{"DOWN", {-2, -1, 0, 0, 0, 0, 1, 2}},
                                         RoundingCase{"HALF_UP", {-3, -2, -1, 0, 0, 1, 2, 3}},
                                         RoundingCase{"HALF_DOWN", {-2, -1, -1, 0, 0, 1, 1, 2}}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Quant, RangesOfEveryKind) {
  const std::vector<float> x = {-100, 100};
  EXPECT_THAT(quant(x, 1, 0, 4, 1, 0).reals(), ElementsAre(-8, 7));
  EXPECT_THAT(quant(x, 1, 0, 4, 1, 1).reals(), ElementsAre(-7, 7));
  EXPECT_THAT(quant(x, 1, 0, 4, 0, 0).reals(), ElementsAre(0, 15));
  EXPECT_THAT(quant(x, 1, 0, 4, 0, 1).reals(), ElementsAre(0, 14)) << "narrows unsigned, too";
  EXPECT_THAT(quant(x, 1, 0, 1, 0, 0).reals(), ElementsAre(0, 1));
  EXPECT_THAT(quant(x, 0.5F, 0, 4, 1, 0).reals(), ElementsAre(-4, 3.5));
  EXPECT_THAT(quant(x, 1, 3, 4, 0, 0).reals(), ElementsAre(-3, 12));
  EXPECT_THAT(quant({-3e10F, 3e10F}, 1, 0, 32, 1, 0).reals(),
              ElementsAre(-2147483648.0, 2147483648.0))
      << "2^31 - 1 in float32";
  EXPECT_TRUE(
      std::isnan(quant({std::numeric_limits<float>::quiet_NaN()}, 1, 0, 4, 1, 0).reals()[0]));
}

TEST(Quant, ClampsBeforeItRounds) {
  // CEIL of 6.5 is 7; of 7.3, clamped to 7 first, 7.
  EXPECT_THAT(quant({6.5, 7.3F}, 1, 0, 4, 1, 0, "CEIL").reals(), ElementsAre(7, 7));
}

TEST(Quant, OneSignedBitIsBipolar) {
  EXPECT_THAT(quant({-3, -0.1F, 0, 5}, 0.5F, 0, 1, 1, 0).reals(),
              ElementsAre(-0.5, -0.5, 0.5, 0.5));
}

TEST(Quant, ScalesOfChannels) {
  const NodeRunner node(
      kQonnxDomain, "IntQuant",
      {Tensor::floats({1, 2, 2}, {1, 2, 1, 2}), Tensor::floats({1, 2, 1}, {1, 0.25}),
       Tensor::floats({2, 1}, {0, 1}), Tensor::list({3})},
      {{"signed", int64_t{0}}, {"narrow", int64_t{0}}});
  EXPECT_THAT(node.reals(), ElementsAre(1, 2, 1, 1.5));  // 4 + 1 = 5; 8 + 1 -> 7
}

TEST(Quant, Refusals) {
  const auto refusal = [](const NodeRunner& node) { return input_error([&] { node.run(); }); };
  EXPECT_THAT(refusal(quant({1}, 1, 0, 2.5, 1, 0)), HasSubstr("bitwidth is 2.5"));
  EXPECT_THAT(refusal(quant({1}, 1, 0, 0, 1, 0)),
              HasSubstr("bitwidth is 0, allowed are integers 1..32"));
  EXPECT_THAT(refusal(quant({1}, 1, 0, 33, 1, 0)), HasSubstr("bitwidth is 33"));
  EXPECT_THAT(refusal(quant({1}, 1, 0, std::numeric_limits<float>::quiet_NaN(), 1, 0)),
              HasSubstr("bitwidth is nan"));
  EXPECT_THAT(refusal(quant({1}, 1, 0.5, 4, 1, 0)), HasSubstr("zero_point is 0.5"));
  EXPECT_THAT(refusal(quant({1}, 0, 0, 4, 1, 0)), HasSubstr("scale is 0"));
  EXPECT_THAT(refusal(quant({1}, -1, 0, 4, 1, 0)), HasSubstr("scale is -1"));
  EXPECT_THAT(refusal(quant({1}, 1, 0, 4, 2, 0)), HasSubstr("signed is 2"));
  EXPECT_THAT(refusal(quant({1}, 1, 0, 4, 1, 0, "NEAREST")), HasSubstr("HALF_DOWN"));
  NodeRunner node = quant({1}, 1, 0, 4, 1, 0);
  node.node.attributes.erase("narrow");
  EXPECT_THAT(refusal(node), HasSubstr("narrow is missing"));
  node = quant({1}, 1, 0, 4, 1, 0);
  node.inputs[1] = Tensor::floats({2}, {1, 1});
  EXPECT_THAT(refusal(node), HasSubstr("scale has the shape [2], which does not broadcast"));
}

TEST(QonnxQuant, CodesForOthers) {
  const NodeRunner node = quant({0}, 0.5F, 3, 4, 0, 1, "FLOOR");
  const QonnxQuant q = read_qonnx_quant(node.view());
  EXPECT_EQ(q.bits, 4);
  EXPECT_FALSE(q.is_signed);
  EXPECT_TRUE(q.narrow);
  EXPECT_EQ(q_range(q).low, 0);
  EXPECT_EQ(q_range(q).high, 14);
  EXPECT_EQ(quantize_code(1.2F, 0.5F, 3, q), 5);
  EXPECT_EQ(quantize_code(-9, 0.5F, 3, q), 0);
  EXPECT_EQ(quantize_code(std::numeric_limits<float>::infinity(), 0.5F, 3, q), 14);
  EXPECT_EQ(quantize_code(std::numeric_limits<float>::quiet_NaN(), 0.5F, 3, q), 0);
  const QonnxQuant bipolar = read_qonnx_quant(quant({0}, 1, 0, 1, 1, 0).view());
  EXPECT_EQ(q_range(bipolar).low, -1);
  EXPECT_EQ(quantize_code(-0.1F, 1, 0, bipolar), -1);
  EXPECT_EQ(quantize_code(0, 1, 0, bipolar), 1);
}

TEST(BipolarQuant, SignTimesScale) {
  EXPECT_THAT(NodeRunner(kQonnxDomain, "BipolarQuant",
                         {Tensor::floats({4}, {-1, -0.0F, 0, 7}), real(0.25F)})
                  .reals(),
              ElementsAre(-0.25, 0.25, 0.25, 0.25));
}

TEST(Trunc, VersionOneKeepsTheScale) {
  const auto run = [](const std::string& rounding) {
    NodeRunner node(
        kQonnxDomain, "Trunc",
        {Tensor::floats({4}, {1.5, 3.5, -1.5, -3.5}), real(0.5F), real(0), real(8), real(7)},
        {{"rounding_mode", rounding}});
    return node.reals();  // codes 3 7 -3 -7, halved
  };
  EXPECT_THAT(run("FLOOR"), ElementsAre(0.5, 1.5, -1, -2));
  EXPECT_THAT(run("CEIL"), ElementsAre(1, 2, -0.5, -1.5));
  EXPECT_THAT(run("ROUND"), ElementsAre(1, 2, -1, -2));
}

TEST(Trunc, VersionTwoClampsAndRescales) {
  NodeRunner node(
      kQonnxDomain, "Trunc",
      {Tensor::floats({4}, {1.5, 3.5, -1.5, 60}), real(0.5F), real(2), real(8), real(1), real(3)},
      {{"rounding_mode", std::string("FLOOR")}, {"signed", int64_t{1}}, {"narrow", int64_t{0}}});
  node.graph.qonnx_opset = 2;
  // codes + 2: 5 9 -1 122, halved and clamped to 3: 2.5 3 -0.5 3; minus 2 / 2
  EXPECT_THAT(node.reals(), ElementsAre(1, 2, -2, 2));
  node.graph.qonnx_opset = 1;
  EXPECT_THAT(input_error([&] { node.run(); }), HasSubstr("count is 6, needed 5"));
}

NodeRunner thresholds(const Tensor& x, const Tensor& steps,
                      NodeRunner::Attributes attributes = {}) {
  return {kQonnxDomain, "MultiThreshold", {x, steps}, std::move(attributes)};
}

TEST(MultiThreshold, CountsWhatIsReached) {
  const Tensor x = Tensor::floats({1, 2, 1, 2}, {0, 1, 1.5, -1});
  EXPECT_THAT(thresholds(x, Tensor::floats({1, 3}, {0, 1, 2})).reals(), ElementsAre(1, 2, 2, 0));
  EXPECT_THAT(
      thresholds(x, Tensor::floats({2, 2}, {0, 1, -1, 5}),
                 {{"out_scale", 0.5F}, {"out_bias", -1.0F}, {"out_dtype", std::string("INT4")}})
          .reals(),
      ElementsAre(-0.5, 0, -0.5, -0.5));
  EXPECT_THAT(
      thresholds(x, Tensor::floats({2, 2}, {0, 1, -1, 5}), {{"data_layout", std::string("NHWC")}})
          .reals(),
      ElementsAre(1, 1, 2, 1));
  EXPECT_THAT(thresholds(Tensor::floats({1, 1, 2}, {3, 3}), Tensor::floats({2, 1}, {3, 4})).reals(),
              ElementsAre(1, 0))
      << "the last axis is the channels where there are three";
  EXPECT_THAT(input_error([&] {
                thresholds(x, Tensor::floats({3, 1}, {1, 2, 3})).run();
              }),
              HasSubstr("needed [1 or 2, count]"));
  EXPECT_THAT(thresholds(x, Tensor(ElementType::kFloat, {2, 0})).reals(), ElementsAre(0, 0, 0, 0));
}

}  // namespace
}  // namespace widthwise
