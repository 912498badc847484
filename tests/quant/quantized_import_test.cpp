#include "quant/quantized_import.h"

#include "models/fuse.h"
#include "tests/models/compare.h"
#include "tests/models/quantized_builder.h"

namespace widthwise {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr ElementType u8 = ElementType::kUint8, s8 = ElementType::kInt8;
constexpr int64_t kOpen = GraphValue::kSymbolic;
const Scales kIfmap = per_tensor(0.05F, 100), kOfmap = per_tensor(0.4F, 120),
             kWeight = per_tensor(0.01F, 0, s8);

QuantizedNetwork import(QuantizedBuilder& b) {
  return import_quantized(fuse(b.parse(), FuseFor::kDatapath));
}
// The message, which must name the file.
std::string refusal(QuantizedBuilder& b) {
  const std::string error = input_error([&] { import(b); });
  EXPECT_THAT(error, HasSubstr("test.onnx: "));
  return error;
}
std::vector<std::string> operators(const QuantizedNetwork& network) {
  std::vector<std::string> names;
  for (const QuantizedLayer& layer : network.layers) names.push_back(layer.operator_type);
  return names;
}

TEST(QuantizedImport, AConvolutionWithAllItsNumbers) {
  QuantizedBuilder b({kOpen, 3, 5, 4});
  b.fake_quantize("x", "xd", per_tensor(0.5F, 7), {0, 15});
  const Scales w{.scales = {0.01F, 0.02F}, .zero_points = {0, 3}, .type = s8, .axis = 0};
  b.weight("w", {2, 3, 3, 2}, w);
  b.node("Conv", {"xd", "w", b.bias("bias", 2, 0.5F, w)}, {"c"}).set_name("conv");
  b.node("Relu", {"c"}, {"r"});
  b.fake_quantize("r", "y", kOfmap);
  b.output("y");
  const QuantizedNetwork network = import(b);
  ASSERT_THAT(operators(network), ElementsAre("Conv"));
  const QuantizedTensor &in = network.tensor(network.input), &out = network.tensor(network.output);
  EXPECT_EQ(in.shape, (Shape{3, 5, 4}));
  EXPECT_EQ(in.quantization, (TensorQuantization{{4, false}, 0.5F, 7}));
  EXPECT_EQ(out.shape, (Shape{2, 3, 3}));
  EXPECT_EQ(out.quantization, (TensorQuantization{{8, false}, 0.4F, 120}));
  const QuantizedLayer& layer = network.layers[0];
  EXPECT_EQ(layer.name, "conv");
  EXPECT_EQ(layer.ifmaps, std::vector<int>{network.input});
  EXPECT_EQ(layer.q_min, 120);
  EXPECT_EQ(layer.q_max, 255);
  EXPECT_EQ(layer.weight_format, (IntegerFormat{8, true}));
  EXPECT_EQ(layer.weight_scales, (std::vector<float>{0.01F, 0.02F}));
  EXPECT_EQ(layer.weight_zero_points, (std::vector<int32_t>{0, 3}));
  const Graph graph = b.parse();
  const auto same = [&](const std::vector<int32_t>& found, const std::string& wanted) {
    EXPECT_EQ(std::vector<int64_t>(found.begin(), found.end()),
              graph.initializers.at(wanted).integers());
  };
  same(layer.weights, "w_q");
  same(layer.bias, "bias_q");
  const Window& window = std::get<MatmulWorkload>(layer.workload).window;
  EXPECT_EQ(window.kernel_rows * 10 + window.kernel_cols, 32);
}

TEST(QuantizedImport, AnInputOfCodesAndAnOutputOfCodes) {
  QuantizedBuilder b({kOpen, 6});
  b.input_type(u8);
  b.dequantize("x", "xd", kIfmap);
  b.weight("w", {6, 4}, kWeight);
  b.node("MatMul", {"xd", "w"}, {"m"}).set_name("fc");
  b.quantize("m", "y", kOfmap);
  b.output("y", u8);
  const QuantizedNetwork network = import(b);
  ASSERT_THAT(operators(network), ElementsAre("Gemm"));
  EXPECT_EQ(network.tensor(network.input).quantization,
            (TensorQuantization{{8, false}, 0.05F, 100}));
  EXPECT_EQ(network.layers[0].bias, std::vector<int32_t>(4, 0));
  // [out, in], as a layer has its weights.
  const Tensor w = b.parse().initializers.at("w_q");
  EXPECT_EQ(network.layers[0].weights[1], w.integer(4));
}

TEST(QuantizedImport, EveryOtherKindOfLayer) {
  QuantizedBuilder b({1, 2, 4, 4}, 13);
  b.fake_quantize("x", "xd", kIfmap);
  set(b.node("MaxPool", {"xd"}, {"p"}), "kernel_shape", std::vector<int64_t>{2, 2});
  set(b.node("AveragePool", {"xd"}, {"a"}), "kernel_shape", std::vector<int64_t>{2, 2});
  b.fake_quantize("a", "ad", kIfmap);
  b.node("Add", {"p", "ad"}, {"s"});
  b.fake_quantize("s", "sd", kOfmap);
  b.node("Relu", {"sd"}, {"r"}).set_name("relu");
  b.fake_quantize("r", "rd", per_tensor(0.3F, 0));
  set(b.node("Concat", {"sd", "rd"}, {"j"}), "axis", int64_t{1});
  b.fake_quantize("j", "jd", kOfmap);
  set(b.node("Split", {"jd"}, {"left", "right"}), "axis", int64_t{1});
  b.node("Add", {"left", "right"}, {"t"});
  b.fake_quantize("t", "td", kOfmap);
  b.node("GlobalAveragePool", {"td"}, {"g"});
  b.fake_quantize("g", "gd", kOfmap);
  b.node("Flatten", {"gd"}, {"f"});
  b.quantize("f", "y", kOfmap);
  b.output("y", u8);
  const QuantizedNetwork network = import(b);
  EXPECT_THAT(operators(network), testing::UnorderedElementsAre(
                                      "MaxPool", "AveragePool", "Add", "Relu", "Concat", "Split",
                                      "Split", "Add", "GlobalAveragePool", "Flatten"));
  std::set<std::string> names;
  for (const QuantizedLayer& layer : network.layers) {
    EXPECT_TRUE(names.insert(layer.name).second) << layer.name;
    if (layer.operator_type == "Relu") {
      EXPECT_EQ(layer.q_min, 0);
    }
    if (layer.operator_type == "GlobalAveragePool") {
      EXPECT_EQ(layer.weight_scales[0], 1.0F / 9);
      EXPECT_TRUE(std::get<MatmulWorkload>(layer.workload).unit_weights);
    }
  }
}

TEST(QuantizedImport, CodesThatAreReadWithAndWithoutTheirClip) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.weight("w", {4, 4}, kWeight);
  b.node("MatMul", {"xd", "w"}, {"m"});
  b.quantize("m", "q", kIfmap);
  b.clip_codes("q", "c", u8, {80, 120});
  b.dequantize("q", "qd", kIfmap);
  b.dequantize("c", "cd", kIfmap);
  b.node("Add", {"qd", "cd"}, {"s"});
  b.quantize("s", "y", kOfmap);
  b.output("y", u8);
  const QuantizedNetwork network = import(b);
  ASSERT_THAT(operators(network), ElementsAre("Gemm", "Identity", "Add"));
  const QuantizedLayer &product = network.layers[0], &clamp = network.layers[1];
  EXPECT_EQ(product.q_min, 0);
  EXPECT_EQ(product.q_max, 255);
  EXPECT_EQ(clamp.name, "c_clip");
  EXPECT_EQ(clamp.ifmaps, std::vector<int>{product.ofmap});
  EXPECT_EQ(clamp.q_min, 80);
  EXPECT_EQ(clamp.q_max, 120);
  EXPECT_EQ(std::get<ElementwiseWorkload>(clamp.workload).elements, 4);
  EXPECT_EQ(network.tensor(clamp.ofmap).quantization, (TensorQuantization{{7, false}, 0.05F, 100}));
  EXPECT_THAT(network.layers[2].ifmaps, ElementsAre(product.ofmap, clamp.ofmap));
}

// Codes of two widths and one scale: the wider one's codes stay.
TEST(QuantizedImport, JoinedCodesOfTwoWidths) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.weight("w", {4, 3}, kWeight);
  b.node("MatMul", {"xd", "w"}, {"m"});
  b.fake_quantize("m", "md", kIfmap, {90, 105});
  set(b.node("Concat", {"md", "xd"}, {"j"}), "axis", int64_t{1});
  b.quantize("j", "y", kIfmap);
  b.output("y", u8);
  const QuantizedNetwork network = import(b);
  const QuantizedLayer& concat = network.layers.back();
  EXPECT_EQ(concat.operator_type, "Concat");
  EXPECT_EQ(network.tensor(concat.ofmap).quantization.format, (IntegerFormat{8, false}));
  EXPECT_EQ(concat.q_max, 255);
}

TEST(QuantizedImportRefuses, EndsThatAreNotOneEach) {
  QuantizedBuilder b({1, 4});
  b.input("z", {1, 4});
  b.node("Add", {"x", "z"});
  b.output("y");
  EXPECT_THAT(refusal(b), HasSubstr("graph: inputs, outputs are 2 and 1, allowed one each"));
}
TEST(QuantizedImportRefuses, AFixedBatch) {
  QuantizedBuilder b({4, 4});
  b.fake_quantize("x", "y", kIfmap);
  b.output("y");
  EXPECT_THAT(refusal(b), AllOf(HasSubstr("input 'x': shape is [4, 4]"), HasSubstr("open")));
}
TEST(QuantizedImportRefuses, AnOutputOfRealNumbers) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.weight("w", {4, 3}, kWeight);
  b.node("MatMul", {"xd", "w"});
  b.output("y");
  EXPECT_THAT(refusal(b), HasSubstr("has no layer in a quantized network"));
  QuantizedBuilder gemm({1, 4});
  gemm.fake_quantize("x", "xd", kIfmap);
  gemm.weight("w", {4, 3}, kWeight);
  gemm.node("Gemm", {"xd", "w"}).set_name("gemm");
  gemm.output("y");
  EXPECT_THAT(refusal(gemm), HasSubstr("node 'gemm' (QGemm): output is not quantized"));
}
TEST(QuantizedImportRefuses, OperatorsWithoutALayer) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.node("Sigmoid", {"xd"}, {"s"}).set_name("sigmoid");
  b.quantize("s", "y", kIfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b), HasSubstr("node 'sigmoid' (QLinearSigmoid): operator has no layer"));
}
TEST(QuantizedImportRefuses, ASecondProductOfActivations) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap);
  set(b.node("Transpose", {"xd"}, {"t"}), "perm", std::vector<int64_t>{1, 0});
  b.node("MatMul", {"xd", "t"}, {"m"}).set_name("square");
  b.quantize("m", "y", kOfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b), AllOf(HasSubstr("node 'square' (QLinearMatMul)"), HasSubstr("constant")));
}
TEST(QuantizedImportRefuses, AnInputThatIsQuantizedTwice) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "a", kIfmap);
  b.fake_quantize("x", "b", kOfmap);
  b.node("Add", {"a", "b"}, {"s"});
  b.quantize("s", "y", kOfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b), HasSubstr("input 'x' is quantized twice"));
}
TEST(QuantizedImportRefuses, RealNumbersInTheMiddle) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.node("Neg", {"xd"}, {"n"}).set_name("neg");
  b.quantize("n", "y", kIfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b), HasSubstr("node 'neg' (Neg): operator has no layer"));
}
TEST(QuantizedImportRefuses, CodesReadByOtherNumbersThanWritten) {
  QuantizedBuilder b({1, 4});
  b.quantize("x", "q", kIfmap);
  b.dequantize("q", "d", kOfmap);
  b.weight("w", {4, 3}, kWeight);
  b.node("MatMul", {"d", "w"}, {"m"});
  b.quantize("m", "y", kOfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b), AllOf(HasSubstr("input 'q' is read with scale 0.4 and zero point 120"),
                                HasSubstr("written with 0.05 and 100")));
}
TEST(QuantizedImportRefuses, ActivationsPerChannel) {
  QuantizedBuilder b({1, 2, 4, 4});
  const Scales channels{.scales = {0.1F, 0.2F}, .zero_points = {0, 0}, .type = u8};
  b.fake_quantize("x", "y", channels);
  b.output("y");
  EXPECT_THAT(refusal(b), HasSubstr("scale differs by channel, which weights only may"));
}
TEST(QuantizedImportRefuses, ScalesThatAreNone) {
  for (const float scale : {0.0F, -1.0F, 1e-40F}) {
    QuantizedBuilder b({1, 4});
    b.fake_quantize("x", "y", per_tensor(scale, 0));
    b.output("y");
    EXPECT_THAT(refusal(b), HasSubstr("allowed are normal positive numbers"));
  }
}
TEST(QuantizedImportRefuses, AZeroPointOutsideOfTheClip) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap, {0, 15});  // zero point 100
  b.weight("w", {4, 3}, kWeight);
  b.node("MatMul", {"xd", "w"}, {"m"});
  b.quantize("m", "y", kOfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b), HasSubstr("zero point is 100, allowed 0..15"));
}
TEST(QuantizedImportRefuses, AdditionsThatBroadcast) {
  QuantizedBuilder b({1, 2, 3, 3});
  b.fake_quantize("x", "xd", kIfmap);
  b.node("GlobalAveragePool", {"xd"}, {"g"});
  b.fake_quantize("g", "gd", kIfmap);
  b.node("Add", {"xd", "gd"}, {"s"}).set_name("add");
  b.quantize("s", "y", kOfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b), HasSubstr("node 'add' (QLinearAdd): shapes broadcast"));
}
TEST(QuantizedImportRefuses, ACodeOperandThatIsConstant) {
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.weight("k", {1, 4}, kIfmap);
  b.node("Add", {"xd", "k"}, {"s"});
  b.quantize("s", "y", kOfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b), HasSubstr("input 'k_q' is not made of codes"));
}
TEST(QuantizedImportRefuses, JoinedCodesOfSeveralScales) {
  QuantizedBuilder b({1, 4});
  b.quantize("x", "q", kIfmap);
  b.dequantize("q", "xd", kIfmap);
  b.weight("w", {4, 3}, kWeight);
  b.node("MatMul", {"xd", "w"}, {"m"});
  b.quantize("m", "r", kOfmap);
  set(b.node("Concat", {"q", "r"}), "axis", int64_t{1});
  b.output("y", u8);
  EXPECT_THAT(refusal(b), HasSubstr("inputs are codes of several scales or zero points"));
}
TEST(QuantizedImportRefuses, ABatchOfProductsInOneImage) {
  QuantizedBuilder b({1, 3, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.weight("w", {4, 3}, kWeight);
  b.node("MatMul", {"xd", "w"}, {"m"}).set_name("batched");
  b.quantize("m", "y", kOfmap);
  b.output("y", u8);
  EXPECT_THAT(refusal(b),
              HasSubstr("node 'batched' (QLinearMatMul): shapes make several products"));
}

TEST(IsQuantized, ByItsProducts) {
  QuantizedBuilder plain({1, 4});
  plain.random("w", {4, 3});
  plain.node("MatMul", {"x", "w"});
  plain.output("y");
  EXPECT_FALSE(is_quantized(fuse(plain.parse())));
  QuantizedBuilder b({1, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.weight("w", {4, 3}, kWeight);
  b.node("MatMul", {"xd", "w"});
  b.output("y");
  EXPECT_TRUE(is_quantized(fuse(b.parse())));
}

}  // namespace
}  // namespace widthwise
