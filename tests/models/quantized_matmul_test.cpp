// Operators that multiply and accumulate integers: by hand, and their reductions.
#include "tests/models/compare.h"
#include "tests/models/node_runner.h"

namespace widthwise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Inputs = std::vector<std::optional<Tensor>>;
constexpr auto kLeftOut = std::nullopt;

// --- ConvInteger, QLinearConv ---

TEST(ConvInteger, ZeroPointsPaddingAndBias) {
  const Tensor x = u8({1, 1, 1, 3}, {10, 11, 13}), w = i8({2, 1, 1, 2}, {1, 2, -1, 3});
  const NodeRunner::Attributes pads = {{"pads", std::vector<int64_t>{0, 1, 0, 0}}};
  // x - 10 = 0 1 3 with a 0 before it; w = 1 2, -1 3
  EXPECT_THAT(NodeRunner(kOnnxDomain, "ConvInteger", {x, w, u8({}, {10})}, pads).codes(),
              ElementsAre(0, 2, 7, 0, 3, 8));
  // w - (1, -1) = 0 1, 0 4
  EXPECT_THAT(
      NodeRunner(kOnnxDomain, "ConvInteger", {x, w, u8({}, {10}), i8({2}, {1, -1})}, pads).codes(),
      ElementsAre(0, 1, 3, 0, 4, 12));
  EXPECT_THAT(NodeRunner(kOnnxDomain, "ConvInteger",
                         {x, w, u8({}, {10}), kLeftOut, i32({2}, {100, -100})}, pads)
                  .codes(),
              ElementsAre(100, 102, 107, -100, -97, -92));
}

TEST(ConvInteger, OneAxisGroupsImagesAndNarrowTypes) {
  const Tensor x = i4({2, 2, 2}, {1, 2, 3, 4, -8, 7, 0, 1}), w = i16({2, 1, 2}, {1, 1, 300, -1});
  const NodeRunner conv(kOnnxDomain, "ConvInteger", {x, w}, {{"group", int64_t{2}}});
  EXPECT_THAT(conv.codes(), ElementsAre(3, 896, -1, -1));
  const IntegerMatmul matmul = conv.matmuls().at(0);
  EXPECT_EQ(matmul.images, 2);
  EXPECT_EQ(matmul.workload.groups, 2);
  EXPECT_EQ(matmul.ifmap_format, (IntegerFormat{4, true}));
  EXPECT_EQ(matmul.weight_format, (IntegerFormat{16, true}));
  EXPECT_EQ(matmul.sums(), 4);
}

Inputs conv_inputs(const Tensor& x, const Tensor& w, float x_scale, const Tensor& w_scale,
                   float y_scale, const Tensor& y_zero_point) {
  const auto zero = [](ElementType type, const Shape& shape) { return Tensor(type, shape); };
  return {x,       real(x_scale),      zero(x.type(), {}), w,
          w_scale, zero(w.type(), {}), real(y_scale),      y_zero_point};
}

TEST(QLinearConv, RoundsTiesToEvenBeforeTheZeroPointAndPerChannel) {
  const Tensor x = u8({1, 1, 1, 4}, {1, 3, 5, 200}), w = i8({2, 1, 1, 1}, {1, -1});
  const Inputs inputs = conv_inputs(x, w, 0.5F, Tensor::floats({2}, {1, 2}), 1, u8({}, {101}));
  // 0.5 1.5 2.5 100; -1 -3 -5 -200
  EXPECT_THAT(NodeRunner(kOnnxDomain, "QLinearConv", inputs).codes(),
              ElementsAre(101, 103, 103, 201, 100, 98, 96, 0));
  EXPECT_THAT(NodeRunner(kOnnxDomain, "QLinearConv", inputs,
                         {{"q_min", int64_t{101}}, {"q_max", int64_t{200}}})
                  .codes(),
              ElementsAre(101, 103, 103, 200, 101, 101, 101, 101));
}

TEST(QLinearConv, OtherArithmeticsFromTheSameSums) {
  using Kind = RequantizeConfig::Kind;
  const Tensor x = u8({1, 1, 1, 3}, {1, 3, 5}), w = i8({1, 1, 1, 1}, {1});
  const NodeRunner conv(kOnnxDomain, "QLinearConv",
                        conv_inputs(x, w, 0.5F, real(1), 1, i8({}, {0})));
  const std::vector<int64_t> sums = {1, 3, -5};  // halves
  EXPECT_THAT(conv.finish(sums, {.kind = Kind::kFloat32}), ElementsAre(0, 2, -2));
  EXPECT_THAT(conv.finish(sums, {Kind::kMultiplierShift, 16, Rounding::kHalfUp}),
              ElementsAre(1, 2, -2));
  EXPECT_THAT(conv.finish(sums, {.kind = Kind::kPowerOfTwo, .rounding = Rounding::kFloor}),
              ElementsAre(0, 1, -3));
  EXPECT_THAT(conv.finish(sums, {.kind = Kind::kGemmlowp}), ElementsAre(1, 2, -2));
  const NodeRunner other(kOnnxDomain, "QLinearConv",
                         conv_inputs(x, w, 0.3F, real(1), 1, i8({}, {0})));
  EXPECT_THAT(input_error([&] { other.finish(sums, {.kind = Kind::kPowerOfTwo}); }),
              HasSubstr("no power of two"));
}

TEST(QLinearConv, Refusals) {
  const Tensor x = u8({1, 1, 1, 3}, {1, 3, 5}), w = i8({1, 1, 1, 1}, {1});
  const auto refusal = [](Inputs inputs, NodeRunner::Attributes attributes = {}) {
    return input_error([&] { NodeRunner(kOnnxDomain, "QLinearConv", inputs, attributes).run(); });
  };
  const Inputs good = conv_inputs(x, w, 1, real(1), 1, u8({}, {0}));
  Inputs inputs = good;
  inputs[0] = u8({1, 1, 2, 1, 1}, {1, 1});
  inputs[3] = i8({1, 1, 2, 1, 1}, {1, 1});
  EXPECT_THAT(refusal(inputs), HasSubstr("allowed are windows over one or two axes"));
  inputs[0] = u8({}, {1});
  inputs[3] = i8({}, {1});
  EXPECT_THAT(refusal(inputs), HasSubstr("allowed are convolutions over all axes"));
  inputs = good;
  inputs[2] = i8({}, {0});
  EXPECT_THAT(refusal(inputs), HasSubstr("x_zero_point is of type int8, needed uint8"));
  inputs = good;
  inputs[4] = Tensor::floats({2}, {1, 1});
  EXPECT_THAT(refusal(inputs), HasSubstr("w_scale has 2 values"));
  inputs = good;
  inputs[4] = real(0);
  EXPECT_THAT(refusal(inputs), HasSubstr("w_scale is 0"));
  inputs = good;
  inputs[5] = i8({3}, {0, 0, 0});
  EXPECT_THAT(refusal(inputs), HasSubstr("w_zero_point has 3 values"));
  inputs = good;
  inputs[7] = i32({}, {0});
  EXPECT_THAT(refusal(inputs), HasSubstr("y_zero_point is of type int32"));
  inputs = good;
  inputs.push_back(i32({2}, {1, 1}));
  EXPECT_THAT(refusal(inputs), HasSubstr("bias is [2] of type int32, needed [1]"));
  inputs = good;
  inputs[0] = i32({1, 1, 1, 3}, {1, 2, 3});
  inputs[2] = i32({}, {0});
  EXPECT_THAT(refusal(inputs), HasSubstr("x is of type int32"));
  EXPECT_THAT(refusal(good, {{"q_max", int64_t{256}}}), HasSubstr("q_max is 256"));
  EXPECT_THAT(refusal(good, {{"q_min", int64_t{9}}, {"q_max", int64_t{8}}}),
              HasSubstr("above q_max"));
  EXPECT_THAT(refusal(good, {{"group", int64_t{0}}}), HasSubstr("group is 0"));
}

TEST(QLinearConv, SixteenBitCodesAreExact) {
  // 2 * 65535^2 needs 34 bits.
  const Tensor x(ElementType::kUint16, {1, 2, 1, 1}, std::vector<uint16_t>{65535, 65535}),
      w(ElementType::kUint16, {1, 2, 1, 1}, std::vector<uint16_t>{65535, 65535});
  const Inputs inputs = {x,
                         real(1),
                         Tensor(ElementType::kUint16, {}),
                         w,
                         real(1),
                         Tensor(ElementType::kUint16, {}),
                         real(262144),
                         Tensor(ElementType::kUint16, {})};
  EXPECT_THAT(NodeRunner(kOnnxDomain, "QLinearConv", inputs).codes(), ElementsAre(32767));
}

// --- MatMulInteger, QLinearMatMul ---

TEST(MatMulInteger, ZeroPointsOfRowsAndColumns) {
  const Tensor a = u8({2, 2}, {1, 2, 3, 4}), b = u8({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(NodeRunner(kOnnxDomain, "MatMulInteger", {a, b}).codes(),
              ElementsAre(9, 12, 15, 19, 26, 33));
  // a - (1, 3) = 0 1, 0 1; b - (1 2 3) = 0 0 0, 3 3 3
  const NodeRunner both(kOnnxDomain, "MatMulInteger",
                        {a, b, u8({2}, {1, 3}), u8({3}, {1, 2, 3}), i32({3}, {10, 20, 30})});
  EXPECT_THAT(both.codes(), ElementsAre(13, 23, 33, 13, 23, 33));
  EXPECT_EQ(both.matmuls().size(), 2u) << "one for every zero point of A";
  const NodeRunner same(kOnnxDomain, "MatMulInteger", {a, b, u8({2}, {3, 3})});
  EXPECT_EQ(same.matmuls().size(), 1u);
  EXPECT_EQ(same.matmuls()[0].images, 2);
  EXPECT_THAT(same.matmuls()[0].weights, ElementsAre(1, 4, 2, 5, 3, 6)) << "[cols, length]";
  EXPECT_THAT(input_error([&] {
                NodeRunner(kOnnxDomain, "MatMulInteger", {a, b, u8({3}, {1, 2, 3})}).run();
              }),
              HasSubstr("a_zero_point has the shape [3]"));
}

TEST(MatMulInteger, BatchesBroadcastAndVectors) {
  const Tensor a = i8({2, 1, 2}, {1, 2, 3, 4}), b = i8({2, 2, 1}, {1, 10, 100, 1});
  const NodeRunner batched(kOnnxDomain, "MatMulInteger", {a, b});
  EXPECT_THAT(batched.codes(), ElementsAre(21, 304));
  EXPECT_EQ(batched.matmuls().size(), 2u);
  const NodeRunner shared(kOnnxDomain, "MatMulInteger", {a, i8({2, 1}, {1, 10})});
  EXPECT_THAT(shared.codes(), ElementsAre(21, 43));
  EXPECT_EQ(shared.matmuls().size(), 1u) << "B is the same for the batch";
  // One zero point per row and matrix: [batch, rows, 1].
  EXPECT_THAT(
      NodeRunner(kOnnxDomain, "MatMulInteger", {a, b, i8({2, 1, 1}, {1, 3}), i8({2, 1, 1}, {0, 1})})
          .codes(),
      ElementsAre(10, 0));
  EXPECT_EQ(NodeRunner(kOnnxDomain, "MatMulInteger", {i8({2}, {1, 2}), i8({2}, {3, 4})}).run(),
            i32({}, {11}));
  EXPECT_EQ(NodeRunner(kOnnxDomain, "MatMulInteger",
                       {Tensor(ElementType::kInt8, {3, 0}), Tensor(ElementType::kInt8, {0, 2})})
                .codes(),
            std::vector<int64_t>(6, 0));
  EXPECT_EQ(NodeRunner(kOnnxDomain, "MatMulInteger",
                       {Tensor(ElementType::kInt8, {0, 2}), Tensor(ElementType::kInt8, {2, 2})})
                .run()
                .shape(),
            (Shape{0, 2}));
}

TEST(QLinearMatMul, ScalesOfRowsAndColumns) {
  const Tensor a = i8({2, 1}, {10, 20}), b = i8({1, 2}, {1, 3});
  const auto run = [&](const Tensor& a_scale, const Tensor& b_scale, Inputs more = {},
                       NodeRunner::Attributes attributes = {}) {
    Inputs inputs = {a, a_scale, i8({}, {0}), b, b_scale, i8({}, {0}), real(4), i8({}, {1})};
    inputs.insert(inputs.end(), more.begin(), more.end());
    return NodeRunner(kOnnxDomain, "QLinearMatMul", inputs, attributes).codes();
  };
  EXPECT_THAT(run(real(1), real(1)), ElementsAre(3, 9, 6, 16));  // 2.5 7.5 5 15
  EXPECT_THAT(run(real(1), Tensor::floats({2}, {1, 2})), ElementsAre(3, 16, 6, 31));
  EXPECT_THAT(run(Tensor::floats({2}, {1, 2}), real(1)), ElementsAre(3, 9, 11, 31));
  EXPECT_THAT(run(real(1), real(1), {i32({2}, {-10, 10})}), ElementsAre(1, 11, 3, 19))
      << "0 10, 2.5 17.5";
  EXPECT_THAT(run(real(1), real(1), {}, {{"q_min", int64_t{4}}, {"q_max", int64_t{9}}}),
              ElementsAre(4, 9, 6, 9));
}

// --- QGemm ---

Inputs gemm_inputs(const Tensor& a, const Tensor& b, std::optional<Tensor> c) {
  return {a, real(0.5F), u8({}, {1}), b, real(0.25F), i8({}, {0}), std::move(c)};
}

TEST(QGemm, FloatOutputWithTransposesAndEveryShapeOfC) {
  const Tensor a = u8({2, 2}, {2, 3, 4, 5}), b = i8({2, 2}, {1, 2, 3, 4});
  const auto run = [&](std::optional<Tensor> c, NodeRunner::Attributes attributes = {}) {
    return NodeRunner(kMicrosoftDomain, "QGemm", gemm_inputs(a, b, std::move(c)),
                      std::move(attributes))
        .reals();
  };
  // a - 1 = 1 2, 3 4: sums 7 10, 15 22, each times 0.125
  EXPECT_THAT(run(kLeftOut), ElementsAre(0.875, 1.25, 1.875, 2.75));
  EXPECT_THAT(run(kLeftOut, {{"alpha", 2.0F}}), ElementsAre(1.75, 2.5, 3.75, 5.5));
  EXPECT_THAT(run(kLeftOut, {{"transA", int64_t{1}}}),
              ElementsAre(10 / 8.0, 14 / 8.0, 14 / 8.0, 20 / 8.0));
  EXPECT_THAT(run(kLeftOut, {{"transB", int64_t{1}}}),
              ElementsAre(5 / 8.0, 11 / 8.0, 11 / 8.0, 25 / 8.0));
  EXPECT_THAT(run(i32({}, {1})), ElementsAre(1, 11 / 8.0, 2, 23 / 8.0));
  EXPECT_THAT(run(i32({2}, {1, -10})), ElementsAre(1, 0, 2, 1.5));
  EXPECT_THAT(run(i32({2, 1}, {1, 9})), ElementsAre(1, 11 / 8.0, 3, 31 / 8.0));
  EXPECT_THAT(run(i32({2, 2}, {1, -10, 9, 2})), ElementsAre(1, 0, 3, 3));
  EXPECT_THAT(input_error([&] { run(i32({3}, {1, 2, 3})); }), HasSubstr("do not broadcast"));
  EXPECT_THAT(input_error([&] {
                run(kLeftOut, {{"alpha", -1.0F}});
              }),
              HasSubstr("alpha * a_scale is -0.5"));
}

TEST(QGemm, CodesOut) {
  Inputs inputs = gemm_inputs(u8({2, 2}, {2, 3, 4, 5}), i8({2, 2}, {1, 2, 3, 4}), i32({2}, {1, 2}));
  inputs.push_back(real(0.25F));
  EXPECT_THAT(input_error([&] { NodeRunner(kMicrosoftDomain, "QGemm", inputs).run(); }),
              HasSubstr("must be given both"));
  inputs.push_back(u8({}, {3}));
  // 8 12, 16 24 halves
  EXPECT_THAT(NodeRunner(kMicrosoftDomain, "QGemm", inputs).codes(), ElementsAre(7, 9, 11, 15));
  EXPECT_THAT(NodeRunner(kMicrosoftDomain, "QGemm", inputs, {{"q_max", int64_t{9}}}).codes(),
              ElementsAre(7, 9, 9, 9));
  EXPECT_THAT(NodeRunner(kMicrosoftDomain, "QGemm", inputs, {{"alpha", 0.25F}}).codes(),
              ElementsAre(4, 5, 5, 6));  // 1, 1.5, 2, 3
}

}  // namespace
}  // namespace widthwise
