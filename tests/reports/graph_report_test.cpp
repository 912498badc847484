#include "reports/graph_report.h"

#include "models/fuse.h"
#include "tests/models/compare.h"
#include "tests/models/quantized_builder.h"

namespace widthwise {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr ElementType u8 = ElementType::kUint8, s8 = ElementType::kInt8;
constexpr int64_t kOpen = GraphValue::kSymbolic;

std::vector<std::string> keys(const Json& json) {
  std::vector<std::string> names;
  for (const auto& [key, value] : json.items()) names.push_back(key);
  return names;
}
const Json& entry(const Json& layers, const std::string& op) {
  for (const Json& layer : layers) {
    if (layer["operator"] == op) return layer;
  }
  throw std::logic_error("no " + op);
}

// A convolution of two groups on 4-bit codes, a Gemm with a real result.
Graph quantized_graph(int64_t batch) {
  QuantizedBuilder b({batch, 4, 5, 5});
  b.fake_quantize("x", "xd", per_tensor(0.5F, 7), {0, 15});
  const Scales w{.scales = {0.5F, 0.25F}, .zero_points = {0, 3}, .type = s8, .axis = 0};
  b.weight("w", {2, 2, 3, 3}, w);
  auto& conv = b.node("Conv", {"xd", "w", b.bias("bias", 2, 0.5F, w)}, {"c"});
  conv.set_name("conv");
  set(conv, "group", int64_t{2});
  b.fake_quantize("c", "cd", per_tensor(0.125F, -3, s8));
  b.node("Flatten", {"cd"}, {"f"});
  b.weight("u", {18, 3}, per_tensor(1, 0, s8));
  b.node("Gemm", {"f", "u"}).set_name("gemm");
  b.output("y");
  return fuse(b.parse());
}

TEST(GraphReport, OfAQuantizedConvolution) {
  const Json layers = graph_report(quantized_graph(kOpen));
  const Json& conv = entry(layers, "QLinearConv");
  EXPECT_EQ(keys(conv),
            (std::vector<std::string>{"name", "operator", "ifmap_shapes", "ofmap_shape", "groups",
                                      "k", "macs", "parameters", "ifmap", "weight", "ofmap"}));
  EXPECT_EQ(conv["name"], "conv");
  EXPECT_EQ(conv["ifmap_shapes"], Json::parse("[[1, 4, 5, 5]]"));
  EXPECT_EQ(conv["ofmap_shape"], Json::parse("[1, 2, 3, 3]"));
  EXPECT_EQ(conv["groups"], 2);
  EXPECT_EQ(conv["k"], 18);
  EXPECT_EQ(conv["macs"], 18 * 18);
  EXPECT_EQ(conv["parameters"], 36 + 2);
  EXPECT_EQ(conv["ifmap"],
            Json::parse(R"({"bits": 4, "signed": false, "scale": 0.5, "zero_point": 7})"));
  EXPECT_EQ(conv["weight"], Json::parse(R"({"bits": 8, "signed": true, "scales": [0.5, 0.25],
                                            "zero_points": [0, 3]})"));
  EXPECT_EQ(conv["ofmap"],
            Json::parse(R"({"bits": 8, "signed": true, "scale": 0.125, "zero_point": -3})"));
  const Json& gemm = entry(layers, "com.microsoft.QGemm");
  EXPECT_EQ(gemm["k"], 18);
  EXPECT_EQ(gemm["macs"], 54);
  EXPECT_EQ(gemm["parameters"], 54);
  EXPECT_FALSE(gemm.contains("ofmap")) << "real numbers";
  EXPECT_EQ(keys(entry(layers, "Flatten")),
            (std::vector<std::string>{"name", "operator", "ifmap_shapes", "ofmap_shape"}));
}

TEST(GraphReport, AsATable) {
  for (const int64_t batch : {kOpen, int64_t{1}, int64_t{4}}) {
    const Graph graph = quantized_graph(batch);
    const std::string text = graph_report_text(graph, graph_report(graph));
    EXPECT_THAT(text, AllOf(HasSubstr("4x5x5"), HasSubstr("uint4"), HasSubstr("0.5 (7)"),
                            HasSubstr("0.25..0.5"), HasSubstr("0.125 (-3)")));
    EXPECT_THAT(text, HasSubstr(batch == 4 ? "92 parameters, 1512 MACs per batch of 4"
                                           : "92 parameters, 378 MACs per image"));
  }
}

TEST(GraphReport, ProductsOfRealNumbers) {
  OnnxBuilder b({2, 6});
  b.random("u", {4, 6});
  b.random("v", {4});
  auto& gemm = b.node("Gemm", {"x", "u", "v"}, {"g"});
  set(gemm, "transB", int64_t{1});
  b.random("w", {4, 3});
  b.node("MatMul", {"g", "w"}, {"m"});
  b.random("a", {2, 5});
  auto& other = b.node("Gemm", {"m", "a"});
  set(other, "transA", int64_t{1});
  const Json layers = graph_report(fuse(b.parse()));
  EXPECT_EQ(layers[0]["k"], 6);
  EXPECT_EQ(layers[0]["macs"], 2 * 4 * 6);
  EXPECT_EQ(layers[0]["parameters"], 24 + 4);
  EXPECT_EQ(layers[1]["k"], 4);
  EXPECT_EQ(layers[1]["macs"], 2 * 3 * 4);
  EXPECT_EQ(layers.back()["k"], 2) << "transA";
  EXPECT_EQ(layers.back()["macs"], 3 * 5 * 2);
  OnnxBuilder conv({1, 4, 5, 5});
  conv.random("w", {2, 2, 3, 3});
  set(conv.node("Conv", {"x", "w"}), "group", int64_t{2});
  const Json one = graph_report(fuse(conv.parse()));
  EXPECT_EQ(one[0]["k"], 18);
  EXPECT_EQ(one[0]["groups"], 2);
  EXPECT_EQ(one[0]["macs"], 18 * 18);
}

// Without a zero point the input's declaration or its writer says the type.
TEST(GraphReport, CodesWithoutAZeroPoint) {
  for (const bool input : {true, false}) {
    QuantizedBuilder b({2, 6});
    if (input) b.input_type(s8);
    const std::string codes = input ? "x" : b.quantize("x", "q", per_tensor(0.5F, 0, s8));
    b.codes("w", s8, {6, 3}, b.random_codes({6, 3}, {8, true}));
    b.node("MatMulInteger", {codes, "w"});
    b.output("y", ElementType::kInt32);
    const Json layers = graph_report(fuse(b.parse()));
    const Json& product = entry(layers, "MatMulInteger");
    EXPECT_EQ(product["ifmap"], Json::parse(R"({"bits": 8, "signed": true})"));
    EXPECT_EQ(product["weight"], Json::parse(R"({"bits": 8, "signed": true})"));
    EXPECT_EQ(product["k"], 6);
  }
}

TEST(GraphReport, AShapeThatIsNotKnownNamesTheNode) {
  OnnxBuilder b({2, 6});
  set(b.node("Cast", {"x"}, {"to"}), "to", int64_t{onnx::TensorProto::INT64});
  b.node("Reshape", {"x", "to"}).set_name("reshape");
  const Graph graph = b.parse();
  EXPECT_THAT(input_error([&] { graph_report(graph); }), HasSubstr("node 'reshape'"));
}

}  // namespace
}  // namespace widthwise
