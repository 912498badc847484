#include "models/fold.h"

#include "models/lowering.h"
#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {

constexpr int64_t kN = GraphValue::kSymbolic;

void add_statistics(OnnxBuilder& model, int64_t channels) {
  model.random("s", {channels});
  model.random("o", {channels});
  model.random("m", {channels});
  model.random("v", {channels}, 0.01f);
}
std::vector<std::string> with_statistics(const std::string& value) {
  return {value, "s", "o", "m", "v"};
}

TEST(Fold, BatchNormalizationIntoConvWithAndWithoutBias) {
  for (const bool bias : {false, true}) {
    for (const int64_t groups : {1, 6}) {
      OnnxBuilder model({kN, 6, 5, 5});
      model.random("w", {12, 6 / groups, 3, 3});
      model.random("b", {12});
      add_statistics(model, 12);
      set(bias ? model.node("Conv", {"x", "w", "b"}, {"c"}) : model.node("Conv", {"x", "w"}, {"c"}),
          "group", groups);
      model.node("BatchNormalization", with_statistics("c"));
      const FloatNetwork network = expect_all_agree(model.parse());
      EXPECT_EQ(network.layers.size(), 1u);
      EXPECT_EQ(network.layers[0].operator_type, "Conv");
    }
  }
}

TEST(Fold, BatchNormalizationIntoGemmAndMatMul) {
  for (const std::string op : {"Gemm", "GemmTransposed", "MatMul"}) {
    OnnxBuilder model({kN, 5});
    model.random("w", op == "GemmTransposed" ? Shape{7, 5} : Shape{5, 7});
    model.random("b", {7});
    add_statistics(model, 7);
    if (op == "MatMul") {
      model.node("MatMul", {"x", "w"}, {"c"});
    } else {
      auto& node = model.node("Gemm", {"x", "w", "b"}, {"c"});
      set(node, "alpha", 0.5f);
      set(node, "beta", 3.0f);
      set(node, "transB", int64_t{op == "GemmTransposed"});
    }
    model.node("BatchNormalization", with_statistics("c"));
    EXPECT_EQ(expect_all_agree(model.parse()).layers.size(), 1u) << op;
  }
}

TEST(Fold, ConstantAdditionsAndNormalizationsInARow) {
  OnnxBuilder model({kN, 3, 4, 4});
  model.random("w", {4, 3, 3, 3});
  model.random("k", {4, 1, 1});
  model.floats("one", {}, {1});
  add_statistics(model, 4);
  model.node("Conv", {"x", "w"}, {"c"});
  model.node("Add", {"c", "k"}, {"d"});
  model.node("BatchNormalization", with_statistics("d"), {"e"});
  model.node("Add", {"one", "e"});
  EXPECT_EQ(expect_all_agree(model.parse()).layers.size(), 1u);
}

TEST(Fold, LeavesAValueThatHasAnotherReader) {
  OnnxBuilder model({kN, 3, 4, 4});
  model.random("w", {3, 3, 1, 1});
  add_statistics(model, 3);
  model.node("Conv", {"x", "w"}, {"c"});
  model.node("BatchNormalization", with_statistics("c"), {"n"});
  model.node("Add", {"c", "n"});
  const FloatNetwork network = expect_all_agree(model.parse());
  ASSERT_EQ(network.layers.size(), 3u);
  EXPECT_EQ(network.layers[1].operator_type, "BatchNormalization");
  EXPECT_EQ(std::get<MatmulWorkload>(network.layers[1].workload).groups, 3);
}

TEST(Fold, DoesNotTouchAWeightThatIsShared) {
  OnnxBuilder model({kN, 3, 4, 4});
  model.random("w", {3, 3, 1, 1});
  add_statistics(model, 3);
  model.node("Conv", {"x", "w"}, {"c"});
  model.node("BatchNormalization", with_statistics("c"), {"n"});
  model.node("Conv", {"n", "w"});  // the same weight, no normalization
  EXPECT_EQ(expect_all_agree(model.parse()).layers.size(), 2u);
}

TEST(Fold, KeepsNamesAndDropsWhatNobodyReads) {
  OnnxBuilder model({kN, 3, 4, 4});
  model.random("w", {3, 3, 1, 1});
  model.random("unused", {100});
  add_statistics(model, 3);
  model.node("Conv", {"x", "w"}, {"c"}).set_name("conv");
  model.node("BatchNormalization", with_statistics("c"));
  model.node("Relu", {"x"}, {"dead"});
  const Graph folded = fold(model.parse());
  ASSERT_EQ(folded.nodes.size(), 1u);
  EXPECT_EQ(folded.nodes[0].name, "conv");
  EXPECT_EQ(folded.nodes[0].outputs[0], "y");
  EXPECT_EQ(folded.initializers.size(), 2u) << "weight and bias";
}

TEST(Fold, IsIdempotent) {
  OnnxBuilder model({kN, 3, 4, 4});
  model.random("w", {3, 3, 1, 1});
  add_statistics(model, 3);
  model.node("Conv", {"x", "w"}, {"c"});
  model.node("BatchNormalization", with_statistics("c"), {"n"});
  model.node("Relu", {"n"});
  const Graph once = fold(model.parse());
  const Graph twice = fold(once);
  const FloatNetwork a = lower(once), b = lower(twice);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  EXPECT_EQ(a.layers[0].weights, b.layers[0].weights);
  EXPECT_EQ(a.layers[0].bias, b.layers[0].bias);
}

}  // namespace
}  // namespace widthwise
