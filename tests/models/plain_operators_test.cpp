// Gemm, MatMul, BatchNormalization, Relu, Clip, Add, Concat, Split, Slice, Reshape, Transpose,
// Flatten, Constant, Identity.
#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {

using testing::ElementsAre;
constexpr int64_t kN = GraphValue::kSymbolic;

Values run(const FloatNetwork& network, const Values& image) {
  return run_float_reference(network, image)[static_cast<size_t>(network.output)];
}
Values run(OnnxBuilder& model, const Values& image) {
  return run(expect_all_agree(model.parse()), image);
}
const Shape& output_shape(const FloatNetwork& network) {
  return network.tensor(network.output).shape;
}

TEST(Gemm, AlphaBetaAndTransposeByHand) {
  for (const bool transposed : {false, true}) {
    OnnxBuilder model({kN, 2});
    if (transposed) {
      model.floats("w", {3, 2}, {1, 4, 2, 5, 3, 6});
    } else {
      model.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
    }
    model.floats("c", {3}, {1, 2, 3});
    auto& node = model.node("Gemm", {"x", "w", "c"});
    set(node, "alpha", 2.0f);
    set(node, "beta", 10.0f);
    set(node, "transB", int64_t{transposed});
    // 2 * ([1 10] * w) + 10 * c
    EXPECT_THAT(run(model, {1, 10}), ElementsAre(2 * 41 + 10, 2 * 52 + 20, 2 * 63 + 30));
  }
}

TEST(Gemm, SizesAroundPowersOfTwo) {
  for (const int64_t k : {1, 2, 15, 16, 17, 63, 64, 65, 1568}) {
    for (const int64_t m : {1, 7, 8, 9, 10}) {
      OnnxBuilder model({kN, k});
      model.random("w", {m, k});
      model.random("c", {1, m});
      set(model.node("Gemm", {"x", "w", "c"}), "transB", int64_t{1});
      const FloatNetwork network = expect_all_agree(model.parse());
      EXPECT_EQ(network_macs(network), k * m);
      EXPECT_EQ(network_parameters(network), k * m + m);
    }
  }
}

TEST(Gemm, ScalarBiasReachesEveryOutput) {
  OnnxBuilder model({kN, 1});
  model.floats("w", {1, 3}, {1, 2, 3});
  model.floats("c", {}, {5});
  model.node("Gemm", {"x", "w", "c"});
  EXPECT_THAT(run(model, {1}), ElementsAre(6, 7, 8));
}

TEST(MatMul, ByHandAndWithBias) {
  OnnxBuilder model({kN, 2});
  model.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  model.floats("c", {3}, {100, 200, 300});
  model.node("MatMul", {"x", "w"}, {"m"});
  model.node("Add", {"c", "m"});
  const FloatNetwork network = expect_all_agree(model.parse());
  EXPECT_EQ(network.layers.size(), 1u) << "the constant becomes the bias";
  EXPECT_EQ(network.layers[0].operator_type, "Gemm");
  EXPECT_THAT(run(network, {1, 10}), ElementsAre(141, 252, 363));
}

TEST(MatMul, OneRowOfThreeAxes) {
  OnnxBuilder model({kN, 1, 4});
  model.random("w", {4, 5});
  model.node("MatMul", {"x", "w"});
  EXPECT_EQ(output_shape(expect_all_agree(model.parse())), (Shape{1, 5}));
}

TEST(BatchNormalization, AloneIsADepthwiseMatmulByHand) {
  OnnxBuilder model({kN, 2, 1, 2});
  model.floats("s", {2}, {2, 3});
  model.floats("b", {2}, {10, 20});
  model.floats("m", {2}, {1, 2});
  model.floats("v", {2}, {4, 9});
  set(model.node("BatchNormalization", {"x", "s", "b", "m", "v"}), "epsilon", 0.0f);
  const FloatNetwork network = expect_all_agree(model.parse());
  const auto& matmul = std::get<MatmulWorkload>(network.layers.at(0).workload);
  EXPECT_EQ(matmul.groups, 2);
  EXPECT_FALSE(matmul.unit_weights);
  // (x - 1) / 2 * 2 + 10; (x - 2) / 3 * 3 + 20
  EXPECT_THAT(run(network, {1, 2, 3, 4}), ElementsAre(10, 11, 21, 22));
}

TEST(BatchNormalization, OnFeaturesAndOnFiveAxes) {
  for (const Shape& shape : {Shape{kN, 6}, Shape{kN, 6, 7}, Shape{kN, 6, 2, 3, 4}}) {
    OnnxBuilder model(shape);
    model.random("s", {6});
    model.random("b", {6});
    model.random("m", {6});
    model.random("v", {6}, 0);
    model.node("BatchNormalization", {"x", "s", "b", "m", "v"});
    expect_all_agree(model.parse());
  }
}

TEST(Clamp, ReluAndClipBecomeTheRangeOfTheLayerBefore) {
  for (const int opset : {7, 10, 11, 13}) {
    OnnxBuilder model({kN, 3, 4, 4}, opset);
    model.random("w", {8, 3, 3, 3});
    model.floats("low", {}, {-0.25f});
    model.floats("high", {}, {0.5f});
    model.node("Conv", {"x", "w"}, {"c"});
    if (opset >= 11) {
      model.node("Clip", {"c", "low", "high"});
    } else {
      auto& node = model.node("Clip", {"c"});
      set(node, "min", -0.25f);
      set(node, "max", 0.5f);
    }
    const FloatNetwork network = expect_all_agree(model.parse());
    ASSERT_EQ(network.layers.size(), 1u);
    EXPECT_EQ(network.layers[0].low, -0.25f);
    EXPECT_EQ(network.layers[0].high, 0.5f);
    EXPECT_EQ(network.tensor(network.output).name, "y");
  }
}

TEST(Clamp, OneSidedClipAndReluInARow) {
  OnnxBuilder model({kN, 4});
  model.random("w", {4, 4});
  model.floats("high", {}, {6});
  model.node("MatMul", {"x", "w"}, {"a"});
  model.node("Clip", {"a", "", "high"}, {"b"});
  model.node("Relu", {"b"});
  const FloatNetwork network = expect_all_agree(model.parse());
  ASSERT_EQ(network.layers.size(), 1u);
  EXPECT_EQ(network.layers[0].low, 0);
  EXPECT_EQ(network.layers[0].high, 6);
}

TEST(Clamp, IsALayerWhereTheValueHasAnotherReaderOrIsMoved) {
  OnnxBuilder model({kN, 4, 2, 2});
  model.random("w", {4, 4, 1, 1});
  model.node("Conv", {"x", "w"}, {"a"});
  model.node("Relu", {"a"}, {"b"});  // a is read below, too
  model.node("Add", {"a", "b"}, {"c"});
  model.node("Flatten", {"c"}, {"d"});
  model.node("Relu", {"d"});
  const FloatNetwork network = expect_all_agree(model.parse());
  ASSERT_EQ(network.layers.size(), 5u);
  for (const size_t i : {1u, 4u}) {
    const auto& clamp = std::get<ElementwiseWorkload>(network.layers[i].workload);
    EXPECT_EQ(clamp.kind, ElementwiseWorkload::Kind::kClamp);
    EXPECT_EQ(clamp.elements, 16);
    EXPECT_EQ(network.layers[i].low, 0);
  }
}

TEST(Clamp, OfTheInputItself) {
  OnnxBuilder model({kN, 3});
  model.node("Relu", {"x"});
  EXPECT_THAT(run(model, {-1, 0, 2}), ElementsAre(0, 0, 2));
}

TEST(Add, TwoActivations) {
  OnnxBuilder model({kN, 3, 5, 7});
  model.random("w", {3, 3, 1, 1});
  model.node("Conv", {"x", "w"}, {"c"});
  model.node("Add", {"c", "x"}, {"s"});
  model.node("Relu", {"s"});
  const FloatNetwork network = expect_all_agree(model.parse());
  ASSERT_EQ(network.layers.size(), 2u);
  EXPECT_EQ(network.layers[1].low, 0) << "Relu is the range of Add";
}

TEST(Add, ConstantWithoutALayerBeforeIsADepthwiseMatmul) {
  OnnxBuilder model({kN, 2, 1, 2});
  model.floats("c", {1, 2, 1, 1}, {10, 20});
  model.node("Add", {"x", "c"});
  const FloatNetwork network = expect_all_agree(model.parse());
  EXPECT_TRUE(std::get<MatmulWorkload>(network.layers.at(0).workload).unit_weights);
  EXPECT_THAT(run(network, {1, 2, 3, 4}), ElementsAre(11, 12, 23, 24));
}

TEST(Concat, ByHandOnEveryAxis) {
  struct Case {
    int64_t axis;
    Values wanted;
  };
  for (const Case& c : {Case{1, {1, 2, 3, 4, 1, 2, 3, 4}}, Case{2, {1, 2, 1, 2, 3, 4, 3, 4}},
                        Case{-1, {1, 2, 1, 2, 3, 4, 3, 4}}}) {
    OnnxBuilder model({kN, 2, 2});
    set(model.node("Concat", {"x", "x"}), "axis", c.axis);
    EXPECT_EQ(run(model, {1, 2, 3, 4}), c.wanted) << c.axis;
  }
}

TEST(Split, ByHandWithUnequalPartsAndAnUnusedOne) {
  for (const int opset : {11, 13}) {
    OnnxBuilder model({kN, 4, 2}, opset);
    model.integers("parts", {1, 3});
    auto& node = opset >= 13 ? model.node("Split", {"x", "parts"}, {"a", "b"})
                             : model.node("Split", {"x"}, {"a", "b"});
    set(node, "axis", int64_t{1});
    if (opset < 13) set(node, "split", {1, 3});
    model.node("Relu", {"b"});
    const FloatNetwork network = expect_all_agree(model.parse());
    EXPECT_EQ(network.layers.size(), 2u) << "nobody reads the first part";
    EXPECT_THAT(run(network, {1, 2, 3, 4, 5, 6, 7, 8}), ElementsAre(3, 4, 5, 6, 7, 8));
  }
}

TEST(Split, EqualPartsAndTheSmallerLastOneOfOpset18) {
  OnnxBuilder model({kN, 5}, 18);
  auto& node = model.node("Split", {"x"}, {"a", "b"});
  set(node, "axis", int64_t{-1});
  set(node, "num_outputs", int64_t{2});
  set(model.node("Concat", {"b", "a"}), "axis", int64_t{1});
  EXPECT_THAT(run(model, {1, 2, 3, 4, 5}), ElementsAre(4, 5, 1, 2, 3));
}

struct SliceCase {
  const char* name;
  int64_t start, end, axis, step;
  Values wanted;
};
void PrintTo(const SliceCase& c, std::ostream* out) { *out << c.name; }
class Slice : public testing::TestWithParam<SliceCase> {};

TEST_P(Slice, ByHand) {
  const SliceCase& c = GetParam();
  OnnxBuilder model({kN, 2, 3});
  model.integers("starts", {c.start});
  model.integers("ends", {c.end});
  model.integers("axes", {c.axis});
  model.integers("steps", {c.step});
  model.node("Slice", {"x", "starts", "ends", "axes", "steps"});
  EXPECT_EQ(run(model, {1, 2, 3, 4, 5, 6}), c.wanted);
}

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
const SliceCase kSlices[] = {
    {"Rows", 1, 2, 1, 1, {4, 5, 6}},
    {"Columns", 1, kEnd, 2, 1, {2, 3, 5, 6}},
    {"FromTheEnd", -2, -1, -1, 1, {2, 5}},
    {"EverySecond", 0, 3, 2, 2, {1, 3, 4, 6}},
    {"Backward", -1, -kEnd, 2, -1, {3, 2, 1, 6, 5, 4}},
    {"BackwardBySteps", 2, -kEnd, 2, -2, {3, 1, 6, 4}},
    {"WholeBatch", 0, kEnd, 0, 1, {1, 2, 3, 4, 5, 6}},
};
INSTANTIATE_TEST_SUITE_P(Cases, Slice, testing::ValuesIn(kSlices),
                         [](const auto& test) { return test.param.name; });

TEST(Slice, AttributesBeforeOpset10) {
  OnnxBuilder model({kN, 4}, 9);
  auto& node = model.node("Slice", {"x"});
  set(node, "axes", std::vector<int64_t>{1});
  set(node, "starts", std::vector<int64_t>{1});
  set(node, "ends", std::vector<int64_t>{3});
  EXPECT_THAT(run(model, {1, 2, 3, 4}), ElementsAre(2, 3));
}

TEST(Transpose, ByHandAndOnFiveAxes) {
  OnnxBuilder small({kN, 2, 3});
  set(small.node("Transpose", {"x"}), "perm", {0, 2, 1});
  EXPECT_THAT(run(small, {1, 2, 3, 4, 5, 6}), ElementsAre(1, 4, 2, 5, 3, 6));
  OnnxBuilder large({kN, 2, 3, 4, 5});
  set(large.node("Transpose", {"x"}), "perm", {0, 4, 2, 1, 3});
  EXPECT_EQ(output_shape(expect_all_agree(large.parse())), (Shape{5, 3, 2, 4}));
}

TEST(Reshape, ChannelShuffleByHand) {
  for (const int64_t batch : {kN, int64_t{1}, int64_t{8}}) {  // a fixed batch is the batch, too
    OnnxBuilder model({batch, 4, 1, 2});
    model.integers("split", {batch == 8 ? 8 : -1, 2, 2, 1, 2});
    model.integers("join", {0, -1, 1, 2});
    model.node("Reshape", {"x", "split"}, {"a"});
    set(model.node("Transpose", {"a"}, {"b"}), "perm", {0, 2, 1, 3, 4});
    model.node("Reshape", {"b", "join"});
    EXPECT_THAT(run(model, {1, 2, 3, 4, 5, 6, 7, 8}), ElementsAre(1, 2, 5, 6, 3, 4, 7, 8));
  }
}

TEST(Reshape, FourAxesBetweenConvolutions) {  // other layouts inside the executor
  OnnxBuilder model({kN, 8, 3, 3});
  model.random("w", {8, 8, 1, 1});
  model.random("s", {2});
  model.random("b", {2});
  model.random("m", {2});
  model.random("v", {2}, 0);
  model.integers("split", {-1, 2, 4, 3, 3});
  model.integers("join", {-1, 8, 3, 3});
  model.node("Conv", {"x", "w"}, {"a"});
  model.node("Reshape", {"a", "split"}, {"c"});
  model.node("BatchNormalization", {"c", "s", "b", "m", "v"}, {"d"});
  model.node("Add", {"c", "d"}, {"e"});
  model.node("Reshape", {"e", "join"}, {"f"});
  model.node("Conv", {"f", "w"});
  expect_all_agree(model.parse());
}

TEST(Flatten, KeepsTheOrder) {
  for (const int64_t axis : {1, -3}) {
    OnnxBuilder model({kN, 2, 1, 2});
    set(model.node("Flatten", {"x"}), "axis", axis);
    const FloatNetwork network = expect_all_agree(model.parse());
    EXPECT_EQ(output_shape(network), Shape{4});
    EXPECT_THAT(run(network, {1, 2, 3, 4}), ElementsAre(1, 2, 3, 4));
  }
}

TEST(Constants, NodesAndIdentitiesOfThemAreFolded) {
  OnnxBuilder model({kN, 2});
  onnx::TensorProto weight;
  weight.set_data_type(onnx::TensorProto::FLOAT);
  weight.add_dims(2);
  weight.add_dims(2);
  for (const float v : {1.0f, 2.0f, 3.0f, 4.0f}) weight.add_float_data(v);
  set(model.node("Constant", {}, {"c"}), "value", weight);
  model.node("Identity", {"c"}, {"i"});
  set(model.node("Transpose", {"i"}, {"t"}), "perm", {1, 0});  // a weight may be transposed
  model.node("Identity", {"x"}, {"z"});
  model.node("MatMul", {"z", "t"}, {"m"});
  model.node("Identity", {"m"});
  const FloatNetwork network = expect_all_agree(model.parse());
  ASSERT_EQ(network.layers.size(), 1u);
  EXPECT_EQ(network.tensor(network.output).name, "y");
  EXPECT_THAT(run(network, {1, 10}), ElementsAre(21, 43));
}

TEST(Copies, DropoutAndPadByNothingAreRemoved) {
  OnnxBuilder model({kN, 1, 2, 2});
  model.integers("pads", {0, 0, 0, 0, 0, 0, 0, 0});
  model.node("Pad", {"x", "pads"}, {"a"});
  set(model.node("AveragePool", {"a"}, {"b"}), "kernel_shape", {2, 2});
  model.node("Dropout", {"b"});
  const FloatNetwork network = expect_all_agree(model.parse());
  EXPECT_EQ(network.layers.size(), 1u);
  EXPECT_THAT(run(network, {1, 2, 3, 6}), ElementsAre(3));
}

TEST(Constants, ANetworkThatOnlyCopies) {
  OnnxBuilder model({kN, 2});
  model.node("Identity", {"x"});
  EXPECT_THAT(run(model, {3, 4}), ElementsAre(3, 4));
}

}  // namespace
}  // namespace widthwise
