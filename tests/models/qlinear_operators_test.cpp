// ONNX Runtime's operators on codes without weights, by hand.
#include <cmath>

#include "tests/models/compare.h"
#include "tests/models/node_runner.h"

namespace widthwise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Inputs = std::vector<std::optional<Tensor>>;
using Kind = RequantizeConfig::Kind;
constexpr auto kLeftOut = std::nullopt;

NodeRunner runner(const std::string& op_type, Inputs inputs,
                  NodeRunner::Attributes attributes = {}) {
  return {kMicrosoftDomain, op_type, std::move(inputs), std::move(attributes)};
}

// --- QLinearAdd, QLinearMul ---

NodeRunner binary(const std::string& op_type, const Tensor& a, float a_scale, uint8_t a_zero,
                  const Tensor& b, float b_scale, uint8_t b_zero, float y_scale, uint8_t y_zero,
                  NodeRunner::Attributes attributes = {}) {
  return runner(op_type,
                {a, real(a_scale), u8({}, {a_zero}), b, real(b_scale), u8({}, {b_zero}),
                 real(y_scale), u8({}, {y_zero})},
                std::move(attributes));
}

TEST(QLinearAdd, TheZeroPointMovesTies) {
  const Tensor a = u8({3}, {11, 13, 15}), b = u8({3}, {20, 20, 20});
  // (1, 3, 5) / 2 + 0
  EXPECT_THAT(binary("QLinearAdd", a, 0.5F, 10, b, 0.25F, 20, 1, 6).codes(), ElementsAre(6, 8, 8));
  EXPECT_THAT(binary("QLinearAdd", a, 0.5F, 10, b, 0.25F, 20, 1, 7).codes(), ElementsAre(8, 8, 10));
}

TEST(QLinearAdd, BroadcastsAndClamps) {
  const Tensor a = u8({2, 1}, {1, 2}), b = u8({3}, {10, 20, 250});
  EXPECT_THAT(binary("QLinearAdd", a, 2, 0, b, 1, 0, 1, 0).codes(),
              ElementsAre(12, 22, 252, 14, 24, 254));
  EXPECT_THAT(binary("QLinearAdd", a, 2, 0, b, 1, 0, 1, 0,
                     {{"q_min", int64_t{13}}, {"q_max", int64_t{200}}})
                  .codes(),
              ElementsAre(13, 22, 200, 14, 24, 200));
  EXPECT_THAT(binary("QLinearAdd", b, 2, 0, u8({}, {9}), 1, 0, 1, 5).codes(),
              ElementsAre(34, 54, 255));
}

// Scales and codes at which the two orders of addition differ; found with ONNX Runtime.
TEST(QLinearAdd, TheRepeatedOperandIsAddedFirst) {
  const Tensor a = u8({1}, {0x7a}), b = u8({2}, {0x93, 0x93});
  const float scales[] = {0x1.1ccc6cp-4F, 0x1.7a4b32p-4F, 0x1.512904p-3F};
  // 122 -> 45 in ONNX Runtime on two tensors of one shape.
  EXPECT_THAT(binary("QLinearAdd", u8({2}, {0x7a, 0x7a}), scales[0], 0xe4, b, scales[1], 0x76,
                     scales[2], 0x49)
                  .codes(),
              ElementsAre(45, 45));
  const NodeRunner swapped = binary("QLinearAdd", b, scales[1], 0x76, u8({2}, {0x7a, 0x7a}),
                                    scales[0], 0xe4, scales[2], 0x49);
  const NodeRunner repeated =
      binary("QLinearAdd", a, scales[0], 0xe4, b, scales[1], 0x76, scales[2], 0x49);
  EXPECT_EQ(repeated.codes(), swapped.codes());
}

TEST(QLinearAdd, OtherArithmetics) {
  const NodeRunner add =
      binary("QLinearAdd", u8({2}, {11, 13}), 0.5F, 10, u8({2}, {20, 20}), 0.25F, 20, 1, 7);
  EXPECT_EQ(add.requantize({.kind = Kind::kFloat32}), add.codes());
  EXPECT_THAT(add.requantize({Kind::kMultiplierShift, 16, Rounding::kHalfUp}), ElementsAre(8, 9));
  EXPECT_THAT(add.requantize({.kind = Kind::kPowerOfTwo, .rounding = Rounding::kFloor}),
              ElementsAre(7, 8));
  EXPECT_THAT(add.requantize({.kind = Kind::kGemmlowp}), ElementsAre(8, 9));
  const NodeRunner odd = binary("QLinearAdd", u8({1}, {1}), 0.3F, 0, u8({1}, {1}), 1, 0, 1, 0);
  EXPECT_THAT(input_error([&] { odd.requantize({.kind = Kind::kPowerOfTwo}); }),
              HasSubstr("no power of two"));
}

TEST(QLinearMul, ProductOfCodesAndTies) {
  const Tensor a = u8({4}, {11, 13, 15, 0}), b = u8({1}, {22});
  // (1 3 5 -10) * 2 / 4
  const NodeRunner mul = binary("QLinearMul", a, 0.5F, 10, b, 0.5F, 20, 1, 7);
  EXPECT_THAT(mul.codes(), ElementsAre(8, 8, 10, 2));
  EXPECT_EQ(mul.requantize({.kind = Kind::kFloat32}), mul.codes());
  EXPECT_THAT(mul.requantize({.kind = Kind::kPowerOfTwo, .rounding = Rounding::kFloor}),
              ElementsAre(7, 8, 9, 2));
  EXPECT_THAT(binary("QLinearMul", a, 0.5F, 10, b, 0.5F, 20, 1, 6).codes(),
              ElementsAre(6, 8, 8, 1));
  EXPECT_THAT(binary("QLinearMul", a, 3e38F, 11, b, 3e38F, 0, 1e-30F, 9).codes(),
              ElementsAre(0, 255, 255, 0))
      << "an infinite ratio: 0 * infinity is NaN, the lowest code";
}

// --- QLinearAveragePool, QLinearGlobalAveragePool ---

TEST(QLinearAveragePool, CountsRealElementsOnlyUnlessTold) {
  const Tensor x = u8({1, 1, 2, 2}, {12, 14, 16, 18});
  const Inputs inputs = {x, real(1), u8({}, {10}), real(1), u8({}, {1})};
  const std::vector<int64_t> two = {2, 2}, pads = {1, 1, 0, 0};
  EXPECT_THAT(runner("QLinearAveragePool", inputs, {{"kernel_shape", two}, {"pads", pads}}).codes(),
              ElementsAre(3, 4, 5, 6));  // 2, 3, 4, 5
  const NodeRunner counting =
      runner("QLinearAveragePool", inputs,
             {{"kernel_shape", two}, {"pads", pads}, {"count_include_pad", int64_t{1}}});
  EXPECT_THAT(counting.codes(),
              ElementsAre(2, 2, 3, 6));  // 0.5 + 1 -> 2; 1.5 + 1 -> 2; 2 + 1; 5 + 1
  EXPECT_EQ(counting.matmuls().size(), 1u);
  EXPECT_TRUE(counting.matmuls()[0].workload.unit_weights);
  EXPECT_THAT(
      input_error([&] {
        runner("QLinearAveragePool", inputs, {{"kernel_shape", two}, {"pads", pads}}).matmuls();
      }),
      HasSubstr("divide border pixels by less"));
  EXPECT_THAT(input_error([&] {
                runner("QLinearAveragePool", inputs,
                       {{"kernel_shape", two}, {"channels_last", int64_t{1}}})
                    .run();
              }),
              HasSubstr("channels_last is 1"));
}

// A datapath's sum is averaged in its place where it overflowed.
TEST(QLinearAveragePool, OverflowReachesTheCode) {
  const Tensor x = u8({1, 1, 2, 3}, {12, 14, 13, 16, 18, 13});
  const Inputs inputs = {x, real(1), u8({}, {10}), real(1), u8({}, {1})};
  const NodeRunner pool =
      runner("QLinearAveragePool", inputs, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  const RequantizeConfig float32{.kind = RequantizeConfig::Kind::kFloat32};
  EXPECT_THAT(pool.finish({20, 18}, float32), ElementsAre(6, 6));  // 5 + 1, 4.5 + 1 to even
  EXPECT_THAT(pool.finish({20, 2}, float32), ElementsAre(6, 1));   // 18 wrapped: 0.5 to even, + 1
}

TEST(QLinearAveragePool, RefusesInputsWithoutSpatialAxes) {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{1, 1}}) {
    for (const char* op_type : {"QLinearAveragePool", "QLinearGlobalAveragePool"}) {
      const NodeRunner pool = runner(op_type, {u8(shape, {1}), real(1), kLeftOut, real(1)});
      EXPECT_THAT(input_error([&] { pool.run(); }), HasSubstr("ifmap has the shape")) << op_type;
    }
  }
}

TEST(QLinearAveragePool, OtherArithmeticsUseTheSums) {
  const NodeRunner pool = runner(
      "QLinearAveragePool", {i8({1, 1, 1, 4}, {1, 2, -3, -6}), real(1), i8({}, {0}), real(1)},
      {{"kernel_shape", std::vector<int64_t>{1, 2}}, {"strides", std::vector<int64_t>{1, 2}}});
  EXPECT_THAT(pool.codes(), ElementsAre(2, -4)) << "1.5, -4.5: ties to even";
  const std::vector<int64_t> sums = {3, -9};
  EXPECT_THAT(pool.finish({}, {.kind = Kind::kFloat32}), ElementsAre(2, -4));
  EXPECT_THAT(pool.finish(sums, {.kind = Kind::kPowerOfTwo, .rounding = Rounding::kFloor}),
              ElementsAre(1, -5));
  EXPECT_THAT(pool.finish(sums, {.kind = Kind::kGemmlowp}), ElementsAre(2, -5))
      << "TFLite's: half away from zero";
  EXPECT_THAT(pool.finish({4, -10}, {Kind::kMultiplierShift, 16, Rounding::kHalfUp}),
              ElementsAre(2, -5));
}

TEST(QLinearGlobalAveragePool, ExactSumAndTfliteOnTheCodes) {
  const Tensor x = i8({1, 2, 1, 2}, {-7, -8, 1, 2});
  const NodeRunner pool =
      runner("QLinearGlobalAveragePool", {x, real(1), i8({}, {-10}), real(1), i8({}, {-10})});
  EXPECT_THAT(pool.codes(), ElementsAre(-8, 2));  // 2.5 -> 2, 11.5 -> 12
  EXPECT_THAT(pool.finish({5, 23}, {.kind = Kind::kGemmlowp}), ElementsAre(-8, 2))
      << "TFLite rounds the average of the codes, -7.5 and 1.5, away from zero";
  EXPECT_THAT(pool.finish({5, 23}, {Kind::kMultiplierShift, 16, Rounding::kHalfUp}),
              ElementsAre(-7, 2));
  EXPECT_THAT(runner("QLinearGlobalAveragePool", {x, real(1), kLeftOut, real(0.5F)}).codes(),
              ElementsAre(-15, 3));
  EXPECT_THAT(
      runner("QLinearGlobalAveragePool", {i8({1, 1, 1, 1, 2}, {3, 5}), real(1), kLeftOut, real(1)})
          .codes(),
      ElementsAre(4))
      << "three axes run, but have no datapath";
}

// --- QLinearConcat, QLinearLeakyRelu, QLinearSigmoid ---

TEST(QLinearConcat, RescalesEveryOperand) {
  const Inputs inputs = {real(1),    u8({}, {5}),  u8({2, 1}, {11, 13}),
                         real(0.5F), u8({}, {10}), u8({2, 2}, {1, 2, 3, 4}),
                         real(2),    u8({}, {0})};
  const NodeRunner concat = runner("QLinearConcat", inputs, {{"axis", int64_t{-1}}});
  EXPECT_THAT(concat.codes(), ElementsAre(5, 7, 9, 7, 11, 13));  // 0.5 -> 0, 1.5 -> 2
  EXPECT_EQ(concat.run().shape(), (Shape{2, 3}));
  EXPECT_THAT(concat.requantize({.kind = Kind::kPowerOfTwo}), ElementsAre(6, 7, 9, 7, 11, 13));
  EXPECT_THAT(
      runner("QLinearConcat", inputs, {{"axis", int64_t{1}}, {"q_max", int64_t{8}}}).codes(),
      ElementsAre(5, 7, 8, 7, 8, 8));
  EXPECT_THAT(input_error([&] {
                runner("QLinearConcat", inputs, {{"axis", int64_t{0}}}).run();
              }),
              HasSubstr("differ beyond axis 0"));
  EXPECT_THAT(
      input_error([&] {
        runner("QLinearConcat", {inputs.begin(), inputs.end() - 1}, {{"axis", int64_t{1}}}).run();
      }),
      HasSubstr("2 + 3 per operand"));
}

TEST(QLinearLeakyRelu, ScalesNegativeCodes) {
  const Inputs inputs = {i8({5}, {-128, -6, -2, 2, 127}), real(1), i8({}, {0}), real(1),
                         i8({}, {1})};
  // -32 -1.5 -0.5 2 127
  EXPECT_THAT(runner("QLinearLeakyRelu", inputs, {{"alpha", 0.25F}}).codes(),
              ElementsAre(-31, -1, 1, 3, 127));
  EXPECT_THAT(runner("QLinearLeakyRelu", inputs, {{"alpha", 0.25F}, {"q_min", int64_t{0}}}).codes(),
              ElementsAre(0, 0, 1, 3, 127));
  EXPECT_THAT(runner("QLinearLeakyRelu", {i16({1}, {-32768}), real(1), kLeftOut, real(1)},
                     {{"alpha", 0.5F}})
                  .codes(),
              ElementsAre(-16384));
}

TEST(QLinearSigmoid, CloseToTheFunctionAndExactInTheMiddle) {
  std::vector<uint8_t> all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<uint8_t>(i));
  const std::vector<int64_t> codes =
      runner("QLinearSigmoid",
             {u8({256}, all), real(0.1F), u8({}, {128}), real(1 / 256.0F), u8({}, {0})})
          .codes();
  EXPECT_EQ(codes[128], 128);
  for (int i = 0; i < 256; ++i) {
    const double wanted = 256 / (1 + std::exp(-0.1 * (i - 128)));
    EXPECT_NEAR(static_cast<double>(codes[static_cast<size_t>(i)]), std::min(wanted, 255.0), 0.501);
  }
}

TEST(QLinearOperators, HaveTheShapesOfTheirResults) {
  for (const NodeRunner& node :
       {binary("QLinearAdd", u8({2, 1}, {1, 2}), 1, 0, u8({3}, {1, 2, 3}), 1, 0, 1, 0),
        runner("QLinearGlobalAveragePool", {u8({1, 2, 1, 1}, {1, 2}), real(1), kLeftOut, real(1)}),
        runner("QLinearLeakyRelu", {u8({2}, {1, 2}), real(1), kLeftOut, real(1)})}) {
    EXPECT_EQ(node.op().infer_shape(node.view()).at(0), node.run().shape());
  }
}

}  // namespace
}  // namespace widthwise
