#include "tests/models/fuse_support.h"

namespace widthwise {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// One QDQ convolution [N, 3, 5, 4] * [4, 3, 3, 2], its output codes.
struct ConvCase {
  const char* name;
  Scales ifmap = kIfmap, weight = kWeight, ofmap = kOfmap;
  bool bias = true;
  std::vector<std::string> between = {};  // Relu, Clip
  int64_t q_min = 9999, q_max = 9999;     // of the fused node; 9999: none
};
void PrintTo(const ConvCase& one, std::ostream* out) { *out << one.name; }

Scales per_channel(ElementType type, std::vector<int64_t> zero_points, int64_t axis = 0) {
  return {.scales = {0.01F, 0.02F, 0.005F, 0.03F},
          .zero_points = std::move(zero_points),
          .type = type,
          .axis = axis};
}

std::string limit(QuantizedBuilder& b, const std::string& op, const std::string& from,
                  const std::string& to) {
  if (op != "Clip") {
    b.node(op, {from}, {to});
    return to;
  }
  b.floats(to + "_min", {}, {-1.0F});
  b.floats(to + "_max", {}, {6.0F});
  b.node("Clip", {from, to + "_min", to + "_max"}, {to});
  return to;
}

void add_conv(QuantizedBuilder& b, const ConvCase& one) {
  const std::string x = b.fake_quantize("x", "xd", one.ifmap);
  std::vector<std::string> inputs = {x, b.weight("w", {4, 3, 3, 2}, one.weight)};
  if (one.bias) inputs.push_back(b.bias("bias", 4, one.ifmap.scales[0], one.weight));
  b.node("Conv", inputs, {"c"}).set_name("conv");
  std::string value = "c";
  for (const std::string& op : one.between) value = limit(b, op, value, value + "_" + op);
  b.quantize(value, "y", one.ofmap);
  b.output("y", one.ofmap.type);
}

class FuseConv : public testing::TestWithParam<ConvCase> {};

TEST_P(FuseConv, IsOneNode) {
  const ConvCase& one = GetParam();
  QuantizedBuilder b({GraphValue::kSymbolic, 3, 5, 4});
  add_conv(b, one);
  for (const FuseFor fuse_for : {FuseFor::kFile, FuseFor::kDatapath}) {
    const Graph fused = fuse_checked(b.parse(), fuse_for);
    ASSERT_THAT(ops(fused), ElementsAre("QuantizeLinear", "QLinearConv"));
    const GraphNode& node = fused.nodes[1];
    EXPECT_EQ(node.name, "conv");
    EXPECT_EQ(node.inputs.size(), one.bias ? 9U : 8U);
    EXPECT_EQ(integer(node, "q_min"), one.q_min);
    EXPECT_EQ(integer(node, "q_max"), one.q_max);
  }
}

const ConvCase kConvs[] = {
    {.name = "Bias"},
    {.name = "NoBias", .bias = false},
    {.name = "Relu", .between = {"Relu"}, .q_min = 120},
    {.name = "Clip", .between = {"Clip"}, .q_min = 118, .q_max = 135},  // -2.5 rounds to even
    {.name = "ReluThenClip", .between = {"Relu", "Clip"}, .q_min = 120, .q_max = 135},
    {.name = "ClipThenRelu", .between = {"Clip", "Relu"}, .q_min = 120, .q_max = 135},
    {.name = "PerChannel", .weight = per_channel(s8, {0, 0, 0, 0})},
    {.name = "PerChannelZeroPoints", .weight = per_channel(u8, {128, 3, 255, 90})},
    {.name = "PerChannelNegativeAxis", .weight = per_channel(s8, {0, 0, 0, 0}, -4)},
    {.name = "WeightsUint8", .weight = per_tensor(0.01F, 130)},
    {.name = "WeightsInt4", .weight = per_tensor(0.1F, 0, ElementType::kInt4)},
    {.name = "WeightsUint4ZeroPoint", .weight = per_tensor(0.1F, 7, ElementType::kUint4)},
    {.name = "WeightsWithoutZeroPoint",
     .weight = {.scales = {0.01F}, .zero_points = {}, .type = s8}},
    {.name = "IfmapWithoutZeroPoint", .ifmap = {.zero_points = {}}},
    {.name = "OfmapWithoutZeroPoint", .ofmap = {.scales = {0.4F}, .zero_points = {}}},
    {.name = "Int8", .ifmap = per_tensor(0.05F, -10, s8), .ofmap = per_tensor(0.4F, 5, s8)},
    {.name = "Int16", .ifmap = per_tensor(0.0002F, 0, s16), .ofmap = per_tensor(0.002F, 0, s16)},
    {.name = "Uint16OfmapOfUint8", .ofmap = per_tensor(0.002F, 30000, ElementType::kUint16)},
    {.name = "Int8ReluAtTheLowestCode",
     .ifmap = per_tensor(0.05F, -10, s8),
     .ofmap = per_tensor(0.2F, -128, s8),
     .between = {"Relu"}}};
INSTANTIATE_TEST_SUITE_P(Qdq, FuseConv, testing::ValuesIn(kConvs),
                         [](const auto& test) { return test.param.name; });

// Conv with something that the integers alone do not say.
Graph conv_with(const Scales& weight, float bias_factor) {
  QuantizedBuilder b({1, 3, 5, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap), w = b.weight("w", {4, 3, 3, 2}, weight);
  b.node("Conv", {x, w, b.bias("bias", 4, kIfmap.scales[0], kWeight, bias_factor)}, {"c"});
  b.quantize("c", "y", kOfmap);
  b.output("y", u8);
  return b.parse();
}

TEST(Fuse, ABiasOfAnotherScaleIsNoInteger) {
  EXPECT_THAT(ops(fuse_checked(conv_with(kWeight, 1.000001F))),  // float32's rounding
              ElementsAre("QuantizeLinear", "QLinearConv"));
  EXPECT_THAT(ops(fuse_checked(conv_with(kWeight, 1.01F))),
              ElementsAre("QuantizeLinear", "DequantizeLinear", "Conv", "QuantizeLinear"));
}

TEST(Fuse, BiasScalesOfAnotherNumberAreRefused) {
  QuantizedBuilder b({1, 3, 5, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap);
  const std::string w = b.weight("w", {4, 3, 3, 2}, per_channel(s8, {0, 0, 0, 0}));
  b.codes("bias_q", ElementType::kInt32, {4}, {1, 2, 3, 4});
  b.dequantize("bias_q", "bias",
               {.scales = {0.0005F, 0.001F}, .zero_points = {}, .type = {}, .axis = 0});
  b.node("Conv", {x, w, "bias"}, {"c"});
  b.quantize("c", "y", kOfmap);
  EXPECT_THAT(input_error([&] { fuse(b.parse()); }), HasSubstr("bias_DequantizeLinear"));
}

TEST(Fuse, ScalesAlongAnotherAxisStayReal) {
  const Scales rows{.scales = {0.01F, 0.02F, 0.03F}, .zero_points = {0, 0, 0}, .type = s8};
  EXPECT_THAT(ops(fuse_checked(conv_with(rows, 1))),
              ElementsAre("QuantizeLinear", "DequantizeLinear", "Conv", "QuantizeLinear"));
}

// x [2, 6] times w [6, 4], or [4, 6] transposed.
struct ProductCase {
  const char* name;
  const char* op = "MatMul";
  bool transposed = false;
  Scales weight = kWeight;
  int bias = 0;  // 0: none, 1: int32, 2: float
  bool quantized = true;
  std::vector<std::string> wanted = {};
};
void PrintTo(const ProductCase& one, std::ostream* out) { *out << one.name; }

class FuseProduct : public testing::TestWithParam<ProductCase> {};

TEST_P(FuseProduct, Nodes) {
  const ProductCase& one = GetParam();
  QuantizedBuilder b({2, 6});
  const std::string x = b.fake_quantize("x", "xd", kIfmap);
  std::vector<std::string> inputs = {
      x, b.weight("w", one.transposed ? Shape{4, 6} : Shape{6, 4}, one.weight)};
  if (one.bias == 1) inputs.push_back(b.bias("bias", 4, kIfmap.scales[0], one.weight));
  if (one.bias == 2) {
    b.random("bias", {4});
    inputs.push_back("bias");
  }
  auto& node = b.node(one.op, inputs, {one.quantized ? "c" : "y"});
  if (one.transposed) set(node, "transB", int64_t{1});
  if (one.quantized) b.quantize("c", "y", kOfmap);
  b.output("y", one.quantized ? u8 : ElementType::kFloat);
  EXPECT_THAT(ops(fuse_checked(b.parse())), testing::ElementsAreArray(one.wanted));
}

const Scales kColumns = per_channel(s8, {0, 0, 0, 0}, 1), kRows = per_channel(s8, {0, 0, 0, 0}, 0);
const ProductCase kProducts[] = {
    {.name = "MatMul", .wanted = {"QuantizeLinear", "QLinearMatMul"}},
    {.name = "MatMulPerColumn", .weight = kColumns, .wanted = {"QuantizeLinear", "QLinearMatMul"}},
    {.name = "MatMulLastAxis",
     .weight = per_channel(u8, {1, 2, 3, 4}, -1),
     .wanted = {"QuantizeLinear", "QLinearMatMul"}},
    {.name = "MatMulReal",
     .weight = kColumns,
     .quantized = false,
     .wanted = {"QuantizeLinear", "MatMulDequantized"}},
    {.name = "Gemm", .op = "Gemm", .bias = 1, .wanted = {"QuantizeLinear", "QGemm"}},
    {.name = "GemmTransposed",
     .op = "Gemm",
     .transposed = true,
     .weight = kRows,
     .bias = 1,
     .wanted = {"QuantizeLinear", "QGemm"}},
    {.name = "GemmTransposedWrongAxis",
     .op = "Gemm",
     .transposed = true,
     .weight = {.scales = {1, 2, 3, 4, 5, 6}, .zero_points = {}, .type = s8, .axis = 1},
     .wanted = {"QuantizeLinear", "DequantizeLinear", "Gemm", "QuantizeLinear"}},
    {.name = "GemmReal",
     .op = "Gemm",
     .bias = 1,
     .quantized = false,
     .wanted = {"QuantizeLinear", "QGemm"}},
    {.name = "GemmFloatBias",
     .op = "Gemm",
     .bias = 2,
     .quantized = false,
     .wanted = {"QuantizeLinear", "QGemm", "Add"}},
    {.name = "GemmFloatBiasQuantized",
     .op = "Gemm",
     .bias = 2,
     .wanted = {"QuantizeLinear", "QGemm"}}};
INSTANTIATE_TEST_SUITE_P(Qdq, FuseProduct, testing::ValuesIn(kProducts),
                         [](const auto& test) { return test.param.name; });

TEST(Fuse, GemmWithAlphaOrBetaStaysReal) {
  for (const char* name : {"alpha", "beta"}) {
    QuantizedBuilder b({2, 6});
    const std::string x = b.fake_quantize("x", "xd", kIfmap), w = b.weight("w", {6, 4}, kWeight);
    set(b.node("Gemm", {x, w, b.bias("bias", 4, 0.05F, kWeight)}, {"y"}), name, 0.5F);
    b.output("y");
    EXPECT_THAT(ops(fuse_checked(b.parse())), Contains("Gemm")) << name;
  }
}

// The bias of a Gemm broadcasts; one of one element is one for all columns.
TEST(Fuse, GemmBiasOfAnyShapeThatBroadcasts) {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{1, 4}, Shape{2, 1}, Shape{2, 4}}) {
    QuantizedBuilder b({2, 6});
    const std::string x = b.fake_quantize("x", "xd", kIfmap), w = b.weight("w", {6, 4}, kWeight);
    b.codes("bias_q", ElementType::kInt32, shape, b.random_codes(shape, {10, true}));
    b.dequantize("bias_q", "bias",
                 {.scales = {0.05F * 0.01F}, .zero_points = {}, .type = ElementType::kInt32});
    b.node("Gemm", {x, w, "bias"}, {"c"});
    b.quantize("c", "y", kOfmap);
    b.output("y", u8);
    EXPECT_THAT(ops(fuse_checked(b.parse())), ElementsAre("QuantizeLinear", "QGemm"));
  }
}

TEST(Fuse, MatMulOfTwoActivations) {
  QuantizedBuilder b({2, 3, 6});
  b.input("z", {2, 6, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap),
                    z = b.fake_quantize("z", "zd", per_tensor(0.06F, 3, s8));
  b.node("MatMul", {x, z}, {"c"});
  b.quantize("c", "y", per_tensor(1, 120));
  b.output("y", u8);
  EXPECT_THAT(ops(fuse_checked(b.parse())),
              ElementsAre("QuantizeLinear", "QuantizeLinear", "QLinearMatMul"));
}

TEST(Fuse, FloatBiasOfAConvolutionIsAddedPerChannel) {
  QuantizedBuilder b({2, 3, 5, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap),
                    w = b.weight("w", {4, 3, 3, 2}, per_channel(s8, {0, 0, 0, 0}));
  b.random("bias", {4});
  b.node("Conv", {x, w, "bias"}).set_name("conv");
  b.output("y");
  const Graph fused = fuse_checked(b.parse());
  EXPECT_THAT(ops(fused), ElementsAre("QuantizeLinear", "ConvDequantized", "Add"));
  EXPECT_EQ(fused.nodes[1].name, "conv");
  EXPECT_EQ(fused.nodes[1].domain, kOwnDomain);
}

// Conv -> Relu -> QuantizeLinear whose inner values somebody else needs, too.
TEST(Fuse, ValuesThatAreReadElsewhereOrAreOutputsStay) {
  for (const std::string needed : {"c", "r"}) {
    for (const bool output : {true, false}) {
      QuantizedBuilder b({1, 3, 5, 4});
      const std::string x = b.fake_quantize("x", "xd", kIfmap),
                        w = b.weight("w", {4, 3, 3, 2}, kWeight);
      b.node("Conv", {x, w}, {"c"});
      b.node("Relu", {"c"}, {"r"});
      b.quantize("r", "y", kOfmap);
      b.output("y", u8);
      if (!output) b.node("Neg", {needed}, {"other"});
      b.output(output ? needed : "other");
      const Graph fused = fuse_checked(b.parse());
      EXPECT_THAT(ops(fused), Contains("ConvDequantized")) << needed << output;
      EXPECT_THAT(ops(fused), Contains("Relu")) << needed << output;
      EXPECT_THAT(ops(fused), Not(Contains("QLinearConv"))) << needed << output;
    }
  }
}

TEST(Fuse, CodesInTheMiddleMayBeOutputsAndRead) {
  QuantizedBuilder b({1, 3, 5, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap);
  b.node("Conv", {x, b.weight("w", {3, 3, 1, 1}, kWeight)}, {"c"});
  b.fake_quantize("c", "cd", kOfmap);
  b.node("Conv", {"cd", b.weight("v", {2, 3, 1, 1}, kWeight)}, {"d"});
  b.quantize("d", "y", per_tensor(2, 120));
  b.output("y", u8);
  b.output("cd_q", u8);
  b.output("cd");
  EXPECT_THAT(ops(fuse_checked(b.parse(), FuseFor::kFile, 0.4)),
              testing::UnorderedElementsAre("QuantizeLinear", "QLinearConv", "DequantizeLinear",
                                            "QLinearConv"));
}

TEST(Fuse, WeightsThatTwoLayersShare) {
  QuantizedBuilder b({2, 3, 4, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap),
                    w = b.weight("w", {3, 3, 1, 1}, kWeight);
  b.node("Conv", {x, w}, {"c"});
  b.fake_quantize("c", "cd", kOfmap);
  b.node("Conv", {"cd", w}, {"d"});
  b.quantize("d", "y", per_tensor(2, 120));
  b.output("y", u8);
  const Graph fused = fuse_checked(b.parse());
  ASSERT_THAT(ops(fused), ElementsAre("QuantizeLinear", "QLinearConv", "QLinearConv"));
  EXPECT_EQ(fused.nodes[1].inputs[3], fused.nodes[2].inputs[3]);
}

// Limits that exclude each other: the later one decides.
TEST(Fuse, ClipsThatExcludeEachOther) {
  QuantizedBuilder b({1, 3, 5, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap),
                    w = b.weight("w", {4, 3, 3, 2}, kWeight);
  b.node("Conv", {x, w}, {"c"});
  b.node("Relu", {"c"}, {"r"});
  b.floats("low", {}, {-3});
  b.floats("high", {}, {-1});
  b.node("Clip", {"r", "low", "high"}, {"clipped"});
  b.quantize("clipped", "y", kOfmap);
  b.output("y", u8);
  const Graph fused = fuse_checked(b.parse());
  ASSERT_THAT(ops(fused), ElementsAre("QuantizeLinear", "QLinearConv"));
  EXPECT_EQ(integer(fused.nodes[1], "q_min"), 118);  // -1 / 0.4 = -2.5 -> -2
  EXPECT_EQ(integer(fused.nodes[1], "q_max"), 118);
}

TEST(Fuse, ClipOfCodesSaysTheBits) {
  QuantizedBuilder b({2, 3, 5, 4});
  const std::string x = b.fake_quantize("x", "xd", per_tensor(0.5F, 7), {0, 15});
  const std::string w_q = b.codes("w_q", s8, {4, 3, 3, 2}, b.random_codes({4, 3, 3, 2}, {5, true}));
  const std::string clipped = b.clip_codes(w_q, "w_c", s8, {-7, 7});
  b.node("Conv", {x, b.dequantize(clipped, "w", kWeight)}, {"c"});
  b.node("Relu", {"c"}, {"r"});
  b.quantize("r", "y_q", per_tensor(1, 2));
  b.clip_codes("y_q", "y", u8, {0, 7});
  b.output("y", u8);
  const Graph fused = fuse_checked(b.parse());
  ASSERT_THAT(ops(fused), ElementsAre("QuantizeLinear", "Clip", "QLinearConv"));
  const GraphNode& conv = fused.nodes[2];
  EXPECT_EQ(conv.outputs[0], "y");
  EXPECT_EQ(integer(conv, "q_min"), 2);
  EXPECT_EQ(integer(conv, "q_max"), 7);
  EXPECT_EQ(fused.formats.at(conv.inputs[0]), (IntegerFormat{4, false}));
  EXPECT_EQ(fused.formats.at(conv.inputs[3]), (IntegerFormat{4, true}));
  EXPECT_EQ(fused.formats.at("y"), (IntegerFormat{3, false}));
  for (const int64_t code : fused.initializers.at(conv.inputs[3]).integers()) {
    EXPECT_LE(std::abs(code), 7);
  }
}

TEST(Fuse, CodesThatAreReadWithAndWithoutTheirClip) {
  QuantizedBuilder b({1, 3, 5, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap);
  b.node("Conv", {x, b.weight("w", {4, 3, 3, 2}, kWeight)}, {"c"});
  b.quantize("c", "raw", kOfmap);
  b.clip_codes("raw", "clipped", u8, {110, 125});
  b.output("raw", u8);
  b.output("clipped", u8);
  const Graph fused = fuse_checked(b.parse());
  EXPECT_THAT(ops(fused), ElementsAre("QuantizeLinear", "QLinearConv", "Clip"));
  EXPECT_EQ(integer(fused.nodes[1], "q_min"), 9999);
}

// DequantizeLinear [N, 4, 4, 4] -> operator -> QuantizeLinear by the same numbers: codes move.
struct MoveCase {
  const char* name;
  const char* op;
  std::vector<std::pair<std::string, std::vector<int64_t>>> attributes = {}, inputs = {};
};
void PrintTo(const MoveCase& one, std::ostream* out) { *out << one.name; }

class FuseMove : public testing::TestWithParam<MoveCase> {};

TEST_P(FuseMove, MovesCodes) {
  const MoveCase& one = GetParam();
  QuantizedBuilder b({2, 4, 4, 4}, 13);
  b.fake_quantize("x", "xd", kIfmap, {90, 105});
  std::vector<std::string> inputs = {"xd"};
  for (const auto& [name, values] : one.inputs) {
    b.integers(name, values);
    inputs.push_back(name);
  }
  auto& node = b.node(one.op, inputs, {"m"});
  for (const auto& [name, values] : one.attributes) {
    if (values.size() == 1) set(node, name, values[0]);
    if (values.size() != 1) set(node, name, values);
  }
  b.quantize("m", "y", kIfmap);
  b.output("y", u8);
  const Graph fused = fuse_checked(b.parse());
  EXPECT_THAT(ops(fused), ElementsAre("QuantizeLinear", "Clip", one.op));
  EXPECT_EQ(fused.formats.at("y"), (IntegerFormat{7, false}));
}

const MoveCase kMoves[] = {
    {"Reshape", "Reshape", {}, {{"shape", {2, -1}}}},
    {"Transpose", "Transpose", {{"perm", {0, 2, 3, 1}}}, {}},
    {"Flatten", "Flatten", {}, {}},
    {"MaxPool", "MaxPool", {{"kernel_shape", {2, 2}}, {"strides", {2, 2}}}, {}},
    {"MaxPoolPadded", "MaxPool", {{"kernel_shape", {2, 2}}, {"pads", {1, 1, 0, 0}}}, {}},
    {"GlobalMaxPool", "GlobalMaxPool", {}, {}},
    {"Pad", "Pad", {}, {{"pads", {0, 0, 1, 1, 0, 0, 0, 2}}}},
    {"Slice", "Slice", {}, {{"starts", {1}}, {"ends", {3}}, {"axes", {2}}}},
    {"DepthToSpace", "DepthToSpace", {{"blocksize", {2}}}, {}},
    {"Gather", "Gather", {{"axis", {1}}}, {{"indices", {3, 0}}}},
    {"Unsqueeze", "Unsqueeze", {}, {{"axes", {1}}}},
};
INSTANTIATE_TEST_SUITE_P(Sink, FuseMove, testing::ValuesIn(kMoves),
                         [](const auto& test) { return test.param.name; });

TEST(FuseMoves, OtherNumbersAfterTheMoveQuantizeAgain) {
  QuantizedBuilder b({2, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.node("Transpose", {"xd"}, {"m"});
  b.quantize("m", "y", per_tensor(0.05F, 101));
  b.output("y", u8);
  EXPECT_THAT(ops(fuse_checked(b.parse())),
              ElementsAre("QuantizeLinear", "Transpose", "DequantizeLinear", "QuantizeLinear"));
}

TEST(FuseMoves, PadOfZerosMovesAndOfAnotherValueStaysReal) {
  for (const bool zero : {true, false}) {
    QuantizedBuilder b({2, 4});
    b.fake_quantize("x", "xd", kIfmap);
    b.integers("pads", {1, 0, 0, 2});
    b.floats("fill", {}, {zero ? 0.0F : 1.0F});
    b.node("Pad", {"xd", "pads", "fill"});
    b.output("y");
    EXPECT_EQ(ops(fuse_checked(b.parse())),
              zero ? (std::vector<std::string>{"QuantizeLinear", "Pad", "DequantizeLinear"})
                   : (std::vector<std::string>{"QuantizeLinear", "DequantizeLinear", "Pad"}));
  }
}

// Left out, a zero point is 0 of the type of the codes; uint8 after a QuantizeLinear that says
// none.
constexpr int kStatedInt8 = 3;  // number of onnx.proto
struct ZeroPointCase {
  const char* name;
  const char* op;
  int output_dtype = 0;  // 0: not stated
};
void PrintTo(const ZeroPointCase& one, std::ostream* out) { *out << one.name; }

class FuseWithoutZeroPoints : public testing::TestWithParam<ZeroPointCase> {};

TEST_P(FuseWithoutZeroPoints, IsOneNode) {
  const ZeroPointCase& one = GetParam();
  const std::string op = one.op;
  QuantizedBuilder b({2, 4, 4, 4});
  const Scales ifmap{.zero_points = {}}, ofmap{.scales = {0.137F}, .zero_points = {}};
  const auto state = [&] {
    auto& quantize = *b.graph().mutable_node(b.graph().node_size() - 1);
    if (one.output_dtype != 0) set(quantize, "output_dtype", int64_t{one.output_dtype});
  };
  std::vector<std::string> inputs;
  for (const std::string input : {"x", "z"}) {
    if (input == "z" && op != "Add") continue;
    if (input == "z") b.input("z", {2, 4, 4, 4});
    b.quantize(input, input + "q", ifmap);
    state();
    b.node("Transpose", {input + "q"}, {input + "t"});  // moves the type, too
    inputs.push_back(b.dequantize(input + "t", input + "d", ifmap));
  }
  auto& node = b.node(op, inputs, {"m"});
  if (op == "AveragePool") set(node, "kernel_shape", std::vector<int64_t>{2, 2});
  b.quantize("m", "y", ofmap);
  state();
  b.output("y", one.output_dtype != 0 ? s8 : u8);
  EXPECT_THAT(ops(fuse_checked(b.parse(), FuseFor::kDatapath)), Contains("QLinear" + op));
}
const ZeroPointCase kWithoutZeroPoints[] = {{"Add", "Add"},
                                            {"AddInt8", "Add", kStatedInt8},
                                            {"AveragePool", "AveragePool"},
                                            {"AveragePoolInt8", "AveragePool", kStatedInt8},
                                            {"GlobalAveragePool", "GlobalAveragePool"},
                                            {"LeakyReluInt8", "LeakyRelu", kStatedInt8}};
INSTANTIATE_TEST_SUITE_P(Operators, FuseWithoutZeroPoints, testing::ValuesIn(kWithoutZeroPoints),
                         [](const auto& test) { return test.param.name; });

// The axis of the scales moves with the elements; weights stay constants.
TEST(FuseMoves, TransposedWeightsPerAxis) {
  for (const bool perm : {true, false}) {
    QuantizedBuilder b({2, 6});
    const std::string x = b.fake_quantize("x", "xd", kIfmap), w = b.weight("w", {4, 6}, kRows);
    auto& transpose = b.node("Transpose", {w}, {"t"});
    if (perm) set(transpose, "perm", std::vector<int64_t>{1, 0});
    b.node("MatMul", {x, "t"}, {"c"});
    b.quantize("c", "y", kOfmap);
    b.output("y", u8);
    EXPECT_THAT(ops(fuse_checked(b.parse())), ElementsAre("QuantizeLinear", "QLinearMatMul"));
  }
}

TEST(FuseMoves, SplitGivesEveryPartItsDequantizeLinear) {
  QuantizedBuilder b({2, 4}, 13);
  b.fake_quantize("x", "xd", kIfmap);
  set(b.node("Split", {"xd"}, {"left", "right"}), "axis", int64_t{1});
  b.quantize("left", "y", kIfmap);
  b.node("Neg", {"right"}, {"z"});
  b.output("y", u8);
  b.output("z");
  const Graph fused = fuse_checked(b.parse());
  EXPECT_THAT(ops(fused), ElementsAre("QuantizeLinear", "Split", "DequantizeLinear", "Neg"));
}

TEST(FuseMoves, NodeNamesStayUnique) {
  QuantizedBuilder b({2, 4}, 13);
  b.fake_quantize("x", "xd", kIfmap);
  set(b.node("Split", {"xd"}, {"left", "right"}), "axis", int64_t{1});
  b.node("Neg", {"left"}, {"y"});
  b.node("Neg", {"right"}, {"z"});
  b.output("y");
  b.output("z");
  std::set<std::string> names;
  const Graph fused = fuse_checked(b.parse());
  for (const GraphNode& node : fused.nodes) EXPECT_TRUE(names.insert(node.name).second);
}

// Two branches that are joined; QuantizeLinear by `after`.
Graph concat(const Scales& first, const Scales& second, const Scales& after,
             std::pair<int64_t, int64_t> clip = {0, 0}) {
  QuantizedBuilder b({2, 4});
  b.input("z", {2, 3});
  b.fake_quantize("x", "xd", first, clip);
  b.fake_quantize("z", "zd", second);
  set(b.node("Concat", {"xd", "zd"}, {"m"}), "axis", int64_t{1});
  b.quantize("m", "y", after);
  b.output("y", after.type);
  return b.parse();
}

TEST(FuseConcat, OfOneQuantizationMovesCodes) {
  EXPECT_THAT(ops(fuse_checked(concat(kIfmap, kIfmap, kIfmap))),
              ElementsAre("QuantizeLinear", "QuantizeLinear", "Concat"));
}
TEST(FuseConcat, OfTwoQuantizationsIsQLinearConcat) {
  EXPECT_THAT(ops(fuse_checked(concat(kIfmap, kOfmap, kOfmap))),
              ElementsAre("QuantizeLinear", "QuantizeLinear", "QLinearConcat"));
}
TEST(FuseConcat, OfTwoWidthsHasTheWiderFormat) {
  const Graph fused = fuse_checked(concat(kIfmap, kIfmap, kIfmap, {90, 105}));
  ASSERT_THAT(ops(fused), ElementsAre("QuantizeLinear", "Clip", "QuantizeLinear", "Concat"));
  EXPECT_FALSE(fused.formats.contains("y"));  // its type's
}
TEST(FuseConcat, OfTwoTypesWithoutZeroPoints) {
  QuantizedBuilder b({2, 4});
  b.input_type(u8);
  b.input("z", {2, 3}, s8);
  const Scales none{.zero_points = {}};
  b.dequantize("x", "xd", none);
  b.dequantize("z", "zd", none);
  set(b.node("Concat", {"xd", "zd"}), "axis", int64_t{1});
  b.output("y");
  EXPECT_THAT(ops(fuse_checked(b.parse())),
              ElementsAre("DequantizeLinear", "DequantizeLinear", "Concat"));
}

// Element-wise operators and pools: fused where ONNX Runtime fuses them, or for a datapath.
struct RealCase {
  const char* name;
  const char* op;
  ElementType type = u8;
  bool file = true;  // whether kFile fuses it
  bool relu = false;
};
void PrintTo(const RealCase& one, std::ostream* out) { *out << one.name; }

class FuseElementwise : public testing::TestWithParam<RealCase> {};

TEST_P(FuseElementwise, ForFileAndDatapath) {
  const RealCase& one = GetParam();
  const std::string op = one.op;
  const bool two = op == "Add" || op == "Mul";
  QuantizedBuilder b({2, 4, 4, 4}, 13);
  const Scales q = per_tensor(0.05F, one.type == u8 ? 100 : 3, one.type);
  b.fake_quantize("x", "xd", q);
  std::vector<std::string> inputs = {"xd"};
  if (two) {
    b.input("z", {2, 4, 4, 4});
    inputs.push_back(b.fake_quantize("z", "zd", per_tensor(0.06F, 20, one.type)));
  }
  auto& node = b.node(op, inputs, {"m"});
  if (op == "AveragePool") set(node, "kernel_shape", std::vector<int64_t>{2, 2});
  std::string value = "m";
  if (one.relu) value = limit(b, "Relu", "m", "r");
  // 1/64: a Softmax's steps are whole; negative numbers are outside of uint8 for the others.
  b.quantize(value, "y",
             per_tensor(op == "Softmax" ? 1.0F / 64
                        : op == "Mul"   ? 0.53F
                                        : 0.137F,
                        one.type == u8 ? 100 : 3, one.type));
  b.output("y", one.type);
  const std::string fused_op = "QLinear" + op;
  const Graph file = fuse_checked(b.parse(), FuseFor::kFile),
              datapath = fuse_checked(b.parse(), FuseFor::kDatapath);
  EXPECT_THAT(ops(datapath), Contains(fused_op));
  if (one.file) {
    EXPECT_THAT(ops(file), Contains(fused_op));
  } else {
    EXPECT_THAT(ops(file), Not(Contains(fused_op)));
    EXPECT_THAT(ops(file), Contains(op));
  }
  EXPECT_EQ(node_of(datapath, fused_op).inputs.size(), two ? 8U : 5U);
}

const RealCase kReals[] = {
    {"Add", "Add"},
    {"AddInt8", "Add", s8, false},  // uint8 to ONNX Runtime, but for its output
    {"AddInt16", "Add", s16, false},
    {"AddRelu", "Add", u8, false, true},
    {"Mul", "Mul"},
    {"MulInt16", "Mul", s16, false},
    {"AveragePool", "AveragePool"},
    {"AveragePoolInt16", "AveragePool", s16, false},
    {"GlobalAveragePool", "GlobalAveragePool"},
    {"GlobalAveragePoolRelu", "GlobalAveragePool", u8, false, true},
    {"Sigmoid", "Sigmoid"},
    {"LeakyRelu", "LeakyRelu"},
    {"LeakyReluInt16", "LeakyRelu", s16},
    {"Softmax", "Softmax"}};
INSTANTIATE_TEST_SUITE_P(Operators, FuseElementwise, testing::ValuesIn(kReals),
                         [](const auto& test) { return test.param.name; });

TEST(FuseElementwise, OfTwoTypesOnlyForADatapath) {
  QuantizedBuilder b({2, 4});
  b.input("z", {2, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap),
                    z = b.fake_quantize("z", "zd", per_tensor(0.06F, 3, s16));
  b.node("Add", {x, z}, {"m"});
  b.quantize("m", "y", kOfmap);
  b.output("y", u8);
  EXPECT_THAT(ops(fuse_checked(b.parse())), Not(Contains("QLinearAdd")));
  EXPECT_THAT(ops(fuse_checked(b.parse(), FuseFor::kDatapath)), Contains("QLinearAdd"));
}

TEST(FuseElementwise, ConstantOperandAndOneThatIsReadTwice) {
  QuantizedBuilder b({2, 4});
  const std::string x = b.fake_quantize("x", "xd", kIfmap);
  b.node("Add", {x, b.weight("k", {4}, kIfmap)}, {"m"});
  b.fake_quantize("m", "md", kOfmap);
  b.node("Mul", {"md", "md"}, {"s"});
  b.quantize("s", "y", per_tensor(1, 50));
  b.output("y", u8);
  EXPECT_THAT(ops(fuse_checked(b.parse())),
              ElementsAre("QuantizeLinear", "QLinearAdd", "QLinearMul"));
}

// ONNX Runtime sees int8 codes between one QuantizeLinear and one DequantizeLinear as uint8.
TEST(FuseElementwise, CodeOffset) {
  QuantizedBuilder b({2, 4});
  b.input("z", {2, 4});
  b.fake_quantize("x", "xd", per_tensor(0.05F, 3, s8));
  b.fake_quantize("z", "zd", per_tensor(0.07F, -5, s8));
  b.node("Add", {"xd", "zd"}, {"m"});
  b.fake_quantize("m", "y", per_tensor(0.1F, 3, s8));
  b.output("y");
  EXPECT_EQ(
      integer(node_of(fuse_checked(b.parse(), FuseFor::kFile, 0.1), "QLinearAdd"), "code_offset"),
      128);
}
TEST(FuseElementwise, OfCodesThatAreSeenAsTwoTypesStays) {
  QuantizedBuilder b({2, 4});
  b.fake_quantize("x", "zd", per_tensor(0.07F, -5, s8));
  b.node("Add", {"zd", "zd"}, {"m"});  // read twice: int8, as which y is not seen
  b.fake_quantize("m", "y", per_tensor(0.1F, 3, s8));
  b.output("y");
  EXPECT_THAT(ops(fuse_checked(b.parse())), Not(Contains("QLinearAdd")));
}

// QONNX: Quant with parameters as float constants.
void quant(QuantizedBuilder& b, const std::string& from, const std::string& to, Shape shape,
           const std::vector<float>& scales, float zero_point, float bits, bool is_signed,
           const char* rounding = "ROUND", bool narrow = false) {
  b.floats(to + "_s", std::move(shape), scales);
  b.floats(to + "_z", {}, {zero_point});
  b.floats(to + "_b", {}, {bits});
  auto& node = b.node("Quant", {from, to + "_s", to + "_z", to + "_b"}, {to});
  node.set_name(to + "_Quant");
  node.set_domain("qonnx.custom_op.general");
  set(node, "signed", int64_t{is_signed});
  set(node, "narrow", int64_t{narrow});
  set(node, "rounding_mode", rounding);
}

QuantizedBuilder qonnx_builder(const Shape& shape) {
  QuantizedBuilder b(shape, 13);
  auto* import = b.model().add_opset_import();
  import->set_domain("qonnx.custom_op.general");
  import->set_version(1);
  return b;
}

TEST(FuseQonnx, WeightsAndActivations) {
  for (const FuseFor fuse_for : {FuseFor::kFile, FuseFor::kDatapath}) {
    QuantizedBuilder b = qonnx_builder({2, 3, 5, 4});
    quant(b, "x", "xq", {}, {0.5F}, 3, 4, false);
    b.random("w", {4, 3, 3, 2});
    quant(b, "w", "wq", {4, 1, 1, 1}, {0.1F, 0.2F, 0.15F, 0.3F}, 0, 4, true, "ROUND", true);
    b.node("Conv", {"xq", "wq"}, {"c"});
    b.node("Relu", {"c"}, {"r"});
    quant(b, "r", "y", {}, {0.25F}, 0, 6, false);
    b.output("y");
    const Graph fused = fuse_checked(b.parse(), fuse_for, 0.25);
    const std::string product = fuse_for == FuseFor::kFile ? "ConvDequantized" : "QLinearConv";
    ASSERT_THAT(ops(fused), Contains(product));
    EXPECT_THAT(ops(fused), Not(Contains("Quant")));
    const GraphNode& conv = node_of(fused, product);
    EXPECT_EQ(fused.formats.at(conv.inputs[0]), (IntegerFormat{4, false}));
    EXPECT_EQ(fused.formats.at(conv.inputs[3]), (IntegerFormat{4, true}));
    EXPECT_EQ(fused.initializers.at(conv.inputs[4]).elements(), 4);
    if (fuse_for == FuseFor::kDatapath) {
      EXPECT_EQ(fused.formats.at(conv.outputs[0]), (IntegerFormat{6, false}));
      EXPECT_EQ(integer(conv, "q_max"), 63);
    }
  }
}

TEST(FuseQonnx, RoundingsThatADatapathDoesNotHaveStay) {
  QuantizedBuilder b = qonnx_builder({2, 4});
  quant(b, "x", "xq", {}, {0.5F}, 0, 4, true, "FLOOR");
  b.random("w", {4, 3});
  quant(b, "w", "wq", {}, {0.1F}, 0, 4, true);
  b.node("MatMul", {"xq", "wq"});
  b.output("y");
  EXPECT_THAT(ops(fuse_checked(b.parse(), FuseFor::kDatapath)),
              ElementsAre("QuantCodes", "MatMulDequantized"));
}

TEST(FuseQonnx, BipolarWeightsAndActivations) {
  QuantizedBuilder b = qonnx_builder({2, 4});
  b.floats("s", {}, {0.5F});
  b.random("w", {4, 3});
  b.node("BipolarQuant", {"x", "s"}, {"xq"}).set_domain("qonnx.custom_op.general");
  b.node("BipolarQuant", {"w", "s"}, {"wq"}).set_domain("qonnx.custom_op.general");
  b.node("MatMul", {"xq", "wq"});
  b.output("y");
  const Graph fused = fuse_checked(b.parse());
  ASSERT_THAT(ops(fused), ElementsAre("QuantCodes", "MatMulDequantized"));
  for (const int64_t code : fused.initializers.at(fused.nodes[1].inputs[3]).integers())
    EXPECT_EQ(std::abs(code), 1);
}

TEST(FuseQonnx, WideActivationsAndBiasesOf32Bits) {
  QuantizedBuilder b = qonnx_builder({2, 4});
  quant(b, "x", "xq", {}, {0.5F}, 0, 4, true);
  b.random("w", {3, 4});
  quant(b, "w", "wq", {}, {0.25F}, 0, 4, true);
  b.random("v", {3});
  quant(b, "v", "vq", {}, {0.125F}, 0, 32, true);
  set(b.node("Gemm", {"xq", "wq", "vq"}, {"g"}), "transB", int64_t{1});
  quant(b, "g", "y", {}, {0.001F}, 0, 24, true);  // no operand of a product
  b.output("y");
  EXPECT_THAT(ops(fuse_checked(b.parse())), ElementsAre("QuantCodes", "QGemm", "Quant"));
}

TEST(Fuse, AFloatNetworkKeepsItsValues) {
  OnnxBuilder b({2, 3, 6, 6});
  b.random("w", {4, 3, 3, 3});
  b.random("k", {4});
  b.node("Conv", {"x", "w", "k"}, {"c"});
  b.node("Relu", {"c"}, {"r"});
  b.node("GlobalAveragePool", {"r"}, {"g"});
  b.node("Flatten", {"g"});
  const Graph graph = b.parse();
  const Graph fused = fuse_checked(graph);
  EXPECT_EQ(ops(fused), ops(graph));
  const NamedTensors inputs = {{"x", random_input(graph.inputs[0], 3)}};
  EXPECT_EQ(run_nodes(graph, inputs).at("y"), run_nodes(fused, inputs).at("y"));
}

TEST(Fuse, ZeroPointsOfAnotherNumberAreRefusedWhereTheyAreUsed) {
  QuantizedBuilder b({2, 4}, 13);
  b.floats("s", {}, {0.05F});
  b.codes("z", u8, {2}, {1, 2});
  b.codes("one", u8, {}, {1});
  b.node("QuantizeLinear", {"x", "s", "one"}, {"q"});
  b.node("DequantizeLinear", {"q", "s", "z"}, {"d"}).set_name("odd");
  b.integers("pads", {0, 1, 0, 0});
  b.node("Pad", {"d", "pads"});
  b.output("y");
  const Graph fused = fuse(b.parse());
  EXPECT_THAT(input_error([&] {
                run_nodes(fused, {{"x", Tensor(ElementType::kFloat, {2, 4})}});
              }),
              HasSubstr("node 'odd'"));
}

}  // namespace
}  // namespace widthwise
