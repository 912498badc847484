// Operators that become layers of a float network: constants per channel, data movement, means.
#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
constexpr int64_t kN = GraphValue::kSymbolic;

Values run(OnnxBuilder& model, const Values& image) {
  const FloatNetwork network = expect_all_agree(model.parse());
  return run_float_reference(network, image)[static_cast<size_t>(network.output)];
}

std::string refusal(OnnxBuilder& model) {
  return input_error([&] { lower(fold(model.parse())); });
}

struct ConstantCase {
  const char* name;
  const char* op;
  bool constant_first;
  Values wanted;  // of the channels [1, 2] and [3, 4] with the constants 2 and 4
};
void PrintTo(const ConstantCase& c, std::ostream* out) { *out << c.name; }
class Constant : public testing::TestWithParam<ConstantCase> {
 protected:
  std::vector<std::string> operands(const std::string& activation) const {
    if (GetParam().constant_first) return {"c", activation};
    return {activation, "c"};
  }
};

TEST_P(Constant, AloneIsADepthwiseMatmul) {
  OnnxBuilder model({kN, 2, 1, 2});
  model.floats("c", {2, 1, 1}, {2, 4});
  model.node(GetParam().op, operands("x"));
  EXPECT_EQ(run(model, {1, 2, 3, 4}), GetParam().wanted);
}

TEST_P(Constant, FoldsIntoTheLayerBefore) {
  for (const bool scalar : {false, true}) {
    OnnxBuilder model({kN, 3, 5, 5});
    model.random("w", {2, 3, 3, 3});
    model.random("b", {2});
    model.floats("c", scalar ? Shape{} : Shape{2, 1, 1},
                 scalar ? std::vector<float>{2} : std::vector<float>{2, 4});
    model.node("Conv", {"x", "w", "b"}, {"a"});
    model.node(GetParam().op, operands("a"));
    EXPECT_EQ(expect_all_agree(model.parse()).layers.size(), 1u);
  }
}

const ConstantCase kConstants[] = {{"Sub", "Sub", false, {-1, 0, -1, 0}},
                                   {"SubFromConstant", "Sub", true, {1, 0, 1, 0}},
                                   {"Mul", "Mul", false, {2, 4, 12, 16}},
                                   {"MulConstantFirst", "Mul", true, {2, 4, 12, 16}},
                                   {"Div", "Div", false, {0.5, 1, 0.75, 1}}};
INSTANTIATE_TEST_SUITE_P(Cases, Constant, testing::ValuesIn(kConstants),
                         [](const auto& test) { return test.param.name; });

TEST(ConstantOperands, UnitWeightsOnlyWhereNothingIsScaled) {
  for (const char* op : {"Sub", "Mul"}) {
    OnnxBuilder model({kN, 2});
    model.floats("c", {}, {3});
    model.node(op, {"x", "c"});
    const FloatNetwork network = expect_all_agree(model.parse());
    EXPECT_EQ(std::get<MatmulWorkload>(network.layers.at(0).workload).unit_weights,
              std::string(op) == "Sub");
  }
}

TEST(ConstantOperands, GemmKeepsItsBiasScaled) {
  OnnxBuilder model({kN, 2});
  model.floats("w", {2, 2}, {1, 2, 3, 4});
  model.floats("b", {2}, {1, 1});
  model.floats("c", {2}, {10, 100});
  set(model.node("Gemm", {"x", "w", "b"}, {"a"}), "beta", 2.0f);
  model.node("Mul", {"a", "c"});
  EXPECT_THAT(run(model, {1, 1}), ElementsAre(60, 800));  // (4 + 2) * 10, (6 + 2) * 100
}

TEST(ConstantOperands, Refusals) {
  OnnxBuilder zero({kN, 2});
  zero.floats("c", {2}, {1, 0});
  zero.node("Div", {"x", "c"});
  EXPECT_THAT(refusal(zero), HasSubstr("divisor holds 0"));
  OnnxBuilder activations({kN, 2});
  activations.node("Mul", {"x", "x"});
  EXPECT_THAT(refusal(activations), HasSubstr("are no activation and a float constant"));
  OnnxBuilder inverse({kN, 2});
  inverse.floats("c", {2}, {1, 1});
  inverse.node("Div", {"c", "x"});
  EXPECT_THAT(refusal(inverse), HasSubstr("are no activation and a float constant"));
  OnnxBuilder pixels({kN, 2, 1, 2});
  pixels.floats("c", {1, 2}, {1, 1});
  pixels.node("Sub", {"x", "c"});
  EXPECT_THAT(refusal(pixels), HasSubstr("are no activation and a float constant"));
  OnnxBuilder function({kN, 2});
  function.node("Sigmoid", {"x"});
  EXPECT_THAT(refusal(function), HasSubstr("cannot be quantized"));
}

TEST(Means, OverAllSpatialAxesAreGlobalAveragePools) {
  for (const bool keep : {false, true}) {
    for (const int opset : {13, 18}) {
      for (const Shape& shape : {Shape{kN, 3, 4, 5}, Shape{kN, 3, 4}}) {
        OnnxBuilder model(shape, opset);
        const std::vector<int64_t> axes =
            shape.size() == 4 ? std::vector<int64_t>{-1, 2} : std::vector<int64_t>{2};
        model.integers("axes", axes);
        auto& node = opset < 18 ? model.node("ReduceMean", {"x"}, {"y"})
                                : model.node("ReduceMean", {"x", "axes"}, {"y"});
        if (opset < 18) set(node, "axes", axes);
        set(node, "keepdims", int64_t{keep});
        const FloatNetwork network = expect_all_agree(model.parse());
        EXPECT_EQ(network.layers.at(0).operator_type, "GlobalAveragePool");
        EXPECT_EQ(network.layers.size(), keep ? 1u : 2u);
        EXPECT_EQ(network.tensor(network.output).shape.size(), keep ? shape.size() - 1 : 1);
      }
    }
  }
}

TEST(Means, OverOtherAxesHaveNoLayer) {
  OnnxBuilder model({kN, 3, 4, 5});
  set(model.node("ReduceMean", {"x"}), "axes", std::vector<int64_t>{1});
  EXPECT_THAT(refusal(model), HasSubstr("ReduceMean"));
}

// Every one of these only moves data.
TEST(Movement, SqueezeAndUnsqueeze) {
  OnnxBuilder model({kN, 2, 1, 3});
  model.integers("second", {2});
  model.integers("last", {-1});
  model.node("Squeeze", {"x", "second"}, {"a"});
  model.node("Unsqueeze", {"a", "last"});
  const FloatNetwork network = expect_all_agree(model.parse());
  EXPECT_EQ(network.tensor(network.output).shape, (Shape{2, 3, 1}));
}

TEST(Movement, GatherWithConstantIndices) {
  OnnxBuilder model({kN, 3, 2});
  model.integers("chosen", {2, 0});
  set(model.node("Gather", {"x", "chosen"}), "axis", int64_t{1});
  EXPECT_THAT(run(model, {1, 2, 3, 4, 5, 6}), ElementsAre(5, 6, 1, 2));
}

TEST(Movement, DepthToSpaceAndBack) {
  OnnxBuilder model({kN, 8, 2, 3});
  set(model.node("DepthToSpace", {"x"}, {"a"}), "blocksize", int64_t{2});
  set(model.node("SpaceToDepth", {"a"}), "blocksize", int64_t{2});
  Values image(48);
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<double>(i);
  EXPECT_EQ(run(model, image), image);
}

TEST(Movement, ResizeByNearest) {
  for (const int64_t batch : {kN, int64_t{4}}) {
    OnnxBuilder model({batch, 1, 2, 2});
    model.integers("sizes", {batch == 4 ? 4 : 1, 1, 4, 4});
    auto& node = model.node("Resize", {"x", "", "", "sizes"});
    set(node, "coordinate_transformation_mode", "asymmetric");
    set(node, "nearest_mode", "floor");
    if (batch == 4) {  // the sizes state the batch
      EXPECT_THAT(run(model, {1, 2, 3, 4}),
                  ElementsAre(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4));
    } else {
      EXPECT_EQ(lower(fold(model.parse())).layers.size(), 1u);
    }
  }
}

TEST(Movement, ExpandAndTile) {
  OnnxBuilder model({kN, 2, 1});
  model.integers("shape", {1, 2, 2});
  model.integers("repeats", {1, 2, 1});
  model.node("Expand", {"x", "shape"}, {"a"});
  model.node("Tile", {"a", "repeats"});
  EXPECT_THAT(run(model, {1, 2}), ElementsAre(1, 1, 2, 2, 1, 1, 2, 2));
}

TEST(Movement, KeepsTheBatch) {
  OnnxBuilder gathered({kN, 2});
  gathered.integers("chosen", {0});
  gathered.node("Gather", {"x", "chosen"});
  EXPECT_THAT(refusal(gathered), HasSubstr("axis is 0, the batch"));
  OnnxBuilder squeezed({1, 2});
  squeezed.node("Squeeze", {"x"});
  EXPECT_THAT(refusal(squeezed), HasSubstr("axes are missing"));
  OnnxBuilder tiled({kN, 2});
  tiled.integers("repeats", {2, 1});
  tiled.node("Tile", {"x", "repeats"});
  EXPECT_THAT(refusal(tiled), HasSubstr("repeats is 0, the batch"));
  OnnxBuilder linear({kN, 1, 2});
  linear.floats("scales", {3}, {1, 1, 2});
  set(linear.node("Resize", {"x", "", "scales"}), "mode", "linear");
  EXPECT_THAT(refusal(linear), HasSubstr("mode is not nearest"));
}

}  // namespace
}  // namespace widthwise
