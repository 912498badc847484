// What comes before operators are fused: QuantizeLinear moves, constants are rounded, pairs join.
// That these are ONNX Runtime's is held by the goldens.
#include "tests/models/fuse_support.h"

namespace widthwise {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

// x and w dequantized; the bias real.
struct Product {
  QuantizedBuilder b;
  explicit Product(const char* op = "Conv", float last = 0.1F)
      : b(op == std::string("Conv") ? Shape{2, 3, 4, 4} : Shape{4, 3}) {
    const bool conv = op == std::string("Conv");
    b.fake_quantize("x", "xd", kIfmap);
    b.weight("w", conv ? Shape{5, 3, 1, 1} : Shape{3, 5}, kWeight);
    b.floats("bias", {5}, {0.3F, -0.2F, 7.00024F, 0, last});
    if (op == std::string("MatMul")) {
      b.node("MatMul", {"xd", "w"}, {"m"}).set_name("product");
      b.node("Add", {"bias", "m"}, {"c"});
    } else {
      b.node(op, {"xd", "w", "bias"}, {"c"}).set_name("product");
    }
  }
  // Quantized after `op`, if there is one.
  Graph graph(const char* op = nullptr) {
    if (op != nullptr) {
      auto& node = b.node(op, {"c"}, {"d"});
      if (op == std::string("MaxPool")) set(node, "kernel_shape", std::vector<int64_t>{2, 2});
    }
    b.quantize(op == nullptr ? "c" : "d", "y", kOfmap);
    b.output("y", u8);
    return b.parse();
  }
};

TEST(RoundedConstants, BiasByHand) {
  for (const char* op : {"Conv", "Gemm", "MatMul"}) {
    const Graph fused = fuse_checked(Product(op).graph());
    ASSERT_EQ(fused.nodes.size(), 2U) << op;
    const GraphNode& node = fused.nodes[1];
    EXPECT_EQ(node.name, "product");
    const Tensor& bias =
        fused.initializers.at(node.op_type == "QGemm" ? node.inputs.at(6) : node.inputs.at(8));
    EXPECT_EQ(bias.type(), ElementType::kInt32);
    EXPECT_THAT(bias.integers(), ElementsAre(600, -400, 14000, 0, 200)) << op;  // of 0.0005
  }
  for (const float huge : {1.1e6F, -1.1e6F}) {  // what no int32 holds stays real
    EXPECT_THAT(ops(fuse_checked(Product("Conv", huge).graph())), Contains("ConvDequantized"));
  }
}

TEST(RoundedConstants, OnlyBeforeACodeOfOneReader) {
  Product open;
  open.b.output("c");
  EXPECT_THAT(ops(fuse_checked(open.b.parse())),
              ElementsAre("QuantizeLinear", "ConvDequantized", "Add"));
  Product twice;
  twice.b.quantize("c", "z", kOfmap);
  twice.b.output("z", u8);
  EXPECT_THAT(ops(fuse_checked(twice.graph())), Contains("ConvDequantized"));
}

TEST(RoundedConstants, RealWeightsForAFileOnly) {
  QuantizedBuilder b({2, 3, 4, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.floats("w", {2, 3, 1, 1}, {0.5F, -0.51F, 2.04F, 0.1F, 0.2F, 0.3F});
  b.node("Conv", {"xd", "w"}, {"c"});
  b.quantize("c", "y", kOfmap);
  b.output("y", u8);
  const Graph fused = fuse_checked(b.parse());
  EXPECT_THAT(ops(fused), ElementsAre("QuantizeLinear", "QLinearConv"));
  const Tensor& codes = fused.initializers.at(fused.nodes[1].inputs.at(3));
  EXPECT_EQ(codes.type(), u8);  // scale 0.01, zero point 51
  EXPECT_THAT(codes.integers(), ElementsAre(101, 0, 255, 61, 71, 81));
  EXPECT_THAT(ops(fuse_checked(b.parse(), FuseFor::kDatapath)), Contains("Conv"));
}

// A bias at another scale, or weights whose scales are along another axis.
TEST(RoundedConstants, NotBesideScalesOfAnotherAxis) {
  QuantizedBuilder b({2, 3, 4, 4});
  b.fake_quantize("x", "xd", kIfmap);
  b.weight("w", {3, 3, 1, 1},
           {.scales = {0.5F, 0.25F, 0.75F}, .zero_points = {0, 0, 0}, .type = s8, .axis = 1});
  b.floats("bias", {3}, {0.003F, 0.004F, 0.005F});
  b.node("Conv", {"xd", "w", "bias"}, {"c"});
  b.quantize("c", "y", kOfmap);
  b.output("y", u8);
  const Graph fused = fuse_checked(b.parse());
  EXPECT_EQ(fused.initializers.at(node_of(fused, "Conv").inputs.at(2)).values<float>()[0], 0.003F);
}

// As ONNX Runtime runs it: int32 is a bias, no operand.
TEST(FuseOperands, Int32StaysReal) {
  for (const FuseFor fuse_for : {FuseFor::kFile, FuseFor::kDatapath}) {
    for (const char* op : {"LeakyRelu", "Relu", "Sigmoid"}) {
      QuantizedBuilder b({2, 4});
      b.input_type(ElementType::kInt32);
      b.dequantize("x", "xd", {.scales = {1e-9F}, .zero_points = {}});
      b.node(op, {"xd"}, {"c"});
      b.quantize("c", "y", kOfmap);
      b.output("y", u8);
      EXPECT_THAT(ops(fuse_checked(b.parse(), fuse_for)),
                  ElementsAre("DequantizeLinear", op, "QuantizeLinear"));
    }
  }
}

TEST(RaisedQuantize, BeforeMovementAndMaxPool) {
  for (const char* op : {"MaxPool", "Transpose", "Flatten", "GlobalMaxPool"}) {
    const bool file = op == std::string("MaxPool") || op == std::string("Transpose");
    EXPECT_THAT(ops(fuse_checked(Product().graph(op), FuseFor::kDatapath)),
                ElementsAre("QuantizeLinear", "QLinearConv", op));
    const auto found = ops(fuse_checked(Product().graph(op)));
    EXPECT_EQ(found.size() == 3, file) << op;
  }
}

TEST(RaisedQuantize, WithTheClipOfItsCodes) {
  Product made;
  set(made.b.node("MaxPool", {"c"}, {"d"}), "kernel_shape", std::vector<int64_t>{2, 2});
  made.b.fake_quantize("d", "y", kOfmap, {110, 125});
  made.b.output("y");
  const Graph fused = fuse_checked(made.b.parse(), FuseFor::kFile, 0.4);
  EXPECT_THAT(ops(fused),
              ElementsAre("QuantizeLinear", "QLinearConv", "MaxPool", "DequantizeLinear"));
  EXPECT_EQ(integer(fused.nodes[1], "q_min"), 110);
  EXPECT_EQ(fused.formats.at(fused.nodes[1].outputs[0]), (IntegerFormat{7, false}));
}

TEST(RaisedQuantize, BeforeAConcatOfRealsOnADatapath) {
  Product made;
  made.b.fake_quantize("x", "xe", per_tensor(0.07F, 50));
  set(made.b.node("Concat", {"c", "xe"}, {"d"}), "axis", int64_t{1});
  made.b.quantize("d", "y", kOfmap);
  made.b.output("y", u8);
  EXPECT_THAT(ops(fuse_checked(made.b.parse(), FuseFor::kDatapath)),
              testing::UnorderedElementsAre("QuantizeLinear", "QuantizeLinear", "QLinearConv",
                                            "Requantize", "Concat"));
  EXPECT_THAT(ops(fuse_checked(made.b.parse())), Not(Contains("QLinearConv")));
}

// 0.05 * (0 - 192) .. 0.05 * (255 - 192) and 0.036 * (0 - 60) .. 0.036 * (255 - 60).
TEST(DoublePairs, BecomeTheIntersection) {
  QuantizedBuilder b({4});
  b.fake_quantize("x", "xd", per_tensor(0.05F, 192));
  b.fake_quantize("xd", "y", per_tensor(0.036F, 60));
  b.output("y");
  const Graph fused = fuse(b.parse());
  EXPECT_THAT(ops(fused), ElementsAre("QuantizeLinear", "DequantizeLinear"));
  for (const GraphNode& node : fused.nodes) {
    const float scale = fused.initializers.at(node.inputs[1]).values<float>()[0];
    EXPECT_FLOAT_EQ(scale, (0.05F * 63 + 0.036F * 60) / 255);
    EXPECT_EQ(fused.initializers.at(node.inputs[2]).integer(0), 104);  // 103.74
  }
  EXPECT_THAT(ops(fuse_checked(b.parse(), FuseFor::kDatapath)),
              ElementsAre("QuantizeLinear", "Requantize", "DequantizeLinear"));
}

TEST(DoublePairs, StayWhereTheyAreSeen) {
  enum What { kCodes, kReal, kOtherType, kDisjoint };
  for (const What what : {kCodes, kReal, kOtherType, kDisjoint}) {
    QuantizedBuilder b({4});
    b.fake_quantize("x", "xd", per_tensor(0.05F, what == kDisjoint ? 0 : 100));
    b.fake_quantize("xd", "y",
                    what == kOtherType ? per_tensor(0.03F, 3, s8)
                                       : per_tensor(0.03F, what == kDisjoint ? 255 : 60));
    b.output("y");
    if (what == kCodes) b.output("y_q", u8);
    if (what == kReal) b.output("xd");
    EXPECT_EQ(fuse_checked(b.parse()).nodes.size(), 4U) << what;
  }
}

}  // namespace
}  // namespace widthwise
