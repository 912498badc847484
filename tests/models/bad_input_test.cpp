// Absurd sizes, packed and external data, scales, zero points and bit widths: refused by name,
// before anything is allocated. See import_test.cpp for the graph itself.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <ostream>

#include "core/files.h"
#include "models/fuse.h"
#include "models/operator.h"
#include "models/shape_inference.h"
#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
constexpr int64_t kN = GraphValue::kSymbolic;
constexpr int64_t kAbsurd = int64_t{1} << 40;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

// One number that is not checked when it is read.
void constant(OnnxBuilder& model, const std::string& name, float value) {
  set(model.node("Constant", {}, {name}), "value_float", value);
}

std::string message_of(OnnxBuilder& model) {
  return input_error([&] { infer_shapes(fuse(parse_graph(model.bytes(), "net.onnx"))); });
}

// Sizes

TEST(BadInput, AbsurdExtentsOfInitializers) {
  for (const Shape& shape : {Shape{kAbsurd}, Shape{kAbsurd, kAbsurd}, Shape{0, kAbsurd}}) {
    OnnxBuilder model({kN, 4});
    add_codes(model, "w", onnx::TensorProto::FLOAT, shape, {});
    model.node("Add", {"x", "w"});
    EXPECT_THAT(message_of(model), AllOf(HasSubstr("initializer 'w'"), HasSubstr("dims are [")));
  }
}

TEST(BadInput, AbsurdNumberOfAxes) {
  OnnxBuilder model({kN, 4});
  model.floats("w", Shape(100000, 1), {1});
  model.node("Add", {"x", "w"});
  const std::string message = message_of(model);
  EXPECT_THAT(message, AllOf(HasSubstr("initializer 'w'"), HasSubstr("100000 in all"),
                             HasSubstr("at most 64 extents")));
  EXPECT_LT(message.size(), 1000u);
  OnnxBuilder input(Shape(65, 1));
  input.node("Relu", {"x"});
  EXPECT_THAT(message_of(input), AllOf(HasSubstr("input 'x'"), HasSubstr("has 65 axes")));
  OnnxBuilder unsqueezed({1, 1});
  std::vector<int64_t> axes(63);
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  unsqueezed.integers("axes", axes);
  unsqueezed.node("Unsqueeze", {"x", "axes"});
  EXPECT_THAT(message_of(unsqueezed), AllOf(HasSubstr("output 'y'"), HasSubstr("65 axes")));
}

TEST(BadInput, AbsurdExtentsOfInputs) {
  OnnxBuilder model({kN, kAbsurd});
  model.node("Relu", {"x"});
  EXPECT_THAT(message_of(model), AllOf(HasSubstr("input 'x'"), HasSubstr("1099511627776")));
  OnnxBuilder product({kN, int64_t{1} << 20, int64_t{1} << 20});
  product.node("Relu", {"x"});
  EXPECT_THAT(message_of(product), AllOf(HasSubstr("input 'x'"), HasSubstr("too large")));
}

struct AbsurdNode {
  const char* name;
  std::function<void(OnnxBuilder&)> build;  // node "n" on x [1, 2, 4, 4]
  std::string field;
};
void PrintTo(const AbsurdNode& c, std::ostream* out) { *out << c.name; }

onnx::NodeProto& named(OnnxBuilder& m, const std::string& op, const std::vector<std::string>& in) {
  auto& node = m.node(op, in);
  node.set_name("n");
  return node;
}

const AbsurdNode kAbsurdNodes[] = {
    {"Expand",
     [](auto& m) {
       m.integers("s", {kAbsurd, 2, 4, 4});
       named(m, "Expand", {"x", "s"});
     },
     "shape"},
    {"Tile",
     [](auto& m) {
       m.integers("r", {1, 1, kAbsurd, kAbsurd});
       named(m, "Tile", {"x", "r"});
     },
     "repeats"},
    {"TileToTheLimit",
     [](auto& m) {
       m.integers("r", {1, 1, 1 << 28, 1 << 28});
       named(m, "Tile", {"x", "r"});
     },
     "output"},
    {"Pad",
     [](auto& m) {
       m.integers("p", {0, 0, 0, kAbsurd, 0, 0, 0, 0});
       named(m, "Pad", {"x", "p"});
     },
     "pads"},
    {"Reshape",
     [](auto& m) {
       m.integers("s", {kAbsurd, kAbsurd});
       named(m, "Reshape", {"x", "s"});
     },
     "shape"},
    {"ResizeBySizes",
     [](auto& m) {
       m.integers("s", {1, 2, kAbsurd, 4});
       named(m, "Resize", {"x", "", "", "s"});
     },
     "sizes"},
    {"ResizeByScales",
     [](auto& m) {
       m.floats("s", {4}, {1, 1, 1e30F, 1});
       named(m, "Resize", {"x", "", "s"});
     },
     "scales"},
    {"ConstantOfShape",
     [](auto& m) {
       m.integers("s", {kAbsurd});
       named(m, "ConstantOfShape", {"s"});
     },
     "shape"},
    {"ConstantThatTakesGigabytes",
     [](auto& m) {
       m.integers("s", {1 << 14, 1 << 14});
       named(m, "ConstantOfShape", {"s"});
     },
     "output makes a constant of the shape [16384, 16384]"},
    {"Range",
     [](auto& m) {
       m.integers("a", {0}).clear_dims();
       m.integers("b", {kAbsurd}).clear_dims();
       m.integers("c", {1}).clear_dims();
       named(m, "Range", {"a", "b", "c"});
     },
     "range has"},
    {"ConvStrides",
     [](auto& m) {
       m.random("w", {2, 2, 1, 1});
       set(named(m, "Conv", {"x", "w"}), "strides", {kAbsurd, 1});
     },
     "strides"},
    {"ConvDilations",
     [](auto& m) {
       m.random("w", {2, 2, 3, 3});
       set(named(m, "Conv", {"x", "w"}), "dilations", {kAbsurd, 1});
     },
     "dilations"},
    {"ConvGroups",
     [](auto& m) {
       m.random("w", {2, 2, 1, 1});
       set(named(m, "Conv", {"x", "w"}), "group", kAbsurd);
     },
     "group"},
    {"ConvTransposeStrides",
     [](auto& m) {
       m.random("w", {2, 2, 1, 1});
       set(named(m, "ConvTranspose", {"x", "w"}), "strides", {1 << 20, 1 << 20});
     },
     "output"},
    {"PoolKernel",
     [](auto& m) {
       set(named(m, "MaxPool", {"x"}), "kernel_shape", {kAbsurd, 1});
     },
     "kernel_shape"},
    {"PoolTaps",
     [](auto& m) {
       auto& pool = named(m, "AveragePool", {"x"});
       set(pool, "kernel_shape", {1 << 20, 1 << 20});
       set(pool, "pads", {1 << 20, 1 << 20, 0, 0});
     },
     "kernel_shape"},
    {"BlockSize", [](auto& m) { set(named(m, "DepthToSpace", {"x"}), "blocksize", kAbsurd); },
     "blocksize"},
    {"ProductsOfMatrices",
     [](auto& m) {
       OnnxBuilder::value(*m.graph().add_input(), "z", {1 << 12, 1, 1, 4, 1});
       OnnxBuilder::value(*m.graph().add_input(), "u", {1, 1 << 12, 1, 1, 4});
       named(m, "MatMul", {"z", "u"});
     },
     "shapes"},
};

class AbsurdNodes : public testing::TestWithParam<AbsurdNode> {};

TEST_P(AbsurdNodes, AreRefusedByName) {
  OnnxBuilder model({1, 2, 4, 4});
  GetParam().build(model);
  EXPECT_THAT(message_of(model), AllOf(HasSubstr("node 'n' ("), HasSubstr(GetParam().field)));
}

INSTANTIATE_TEST_SUITE_P(Cases, AbsurdNodes, testing::ValuesIn(kAbsurdNodes),
                         [](const auto& test) { return test.param.name; });

TEST(BadInput, ConstantsThatTakeLongToMultiply) {
  OnnxBuilder model({kN, 1});
  model.integers("s", {1024, 1024});
  model.node("ConstantOfShape", {"s"}, {"a"});
  model.node("MatMul", {"a", "a"}, {"b"}).set_name("product");
  model.node("MatMul", {"x", "b"});
  EXPECT_THAT(message_of(model),
              AllOf(HasSubstr("node 'product' (MatMul)"), HasSubstr("too long")));
}

TEST(BadInput, ManySmallConstantsThatAddUp) {
  OnnxBuilder model({kN, 1});
  model.integers("s", {1024, 1024});
  for (int i = 0; i < 40; ++i) model.node("ConstantOfShape", {"s"}, {fmt::format("a{}", i)});
  model.node("MatMul", {"x", "a0"});
  EXPECT_THAT(message_of(model), AllOf(HasSubstr("(ConstantOfShape)"), HasSubstr("much memory")));
}

TEST(BadInput, WorkThatFitsNoInteger) {
  OnnxBuilder model({1, 1 << 14, 1 << 14});
  model.node("MatMul", {"x", "x"}, {"v0"});
  for (int i = 0; i < 3000; ++i)
    model.node("MatMul", {"x", fmt::format("v{}", i)}, {fmt::format("v{}", i + 1)});
  model.node("Relu", {"v3000"});
  EXPECT_THAT(message_of(model), AllOf(HasSubstr("(MatMul)"), HasSubstr("multiply-accumulates")));
}

TEST(BadInput, MovesOfGigabytesAsLayers) {
  OnnxBuilder model({kN, 1 << 14, 1 << 13});
  model.node("Flatten", {"x"}).set_name("n");
  const Graph graph = model.parse();
  EXPECT_THAT(input_error([&] { lower(fold(graph)); }),
              AllOf(HasSubstr("node 'n' (Flatten)"), HasSubstr("134217728, allowed 67108864")));
}

TEST(BadInput, AveragesOfGigabytesAsLayers) {
  OnnxBuilder model({kN, 4, 1 << 13, 1 << 12});
  model.node("GlobalAveragePool", {"x"}).set_name("n");
  const Graph graph = model.parse();
  EXPECT_THAT(input_error([&] { lower(fold(graph)); }),
              AllOf(HasSubstr("node 'n' (GlobalAveragePool)"), HasSubstr("allowed 67108864")));
}

// The window is looked at as a whole, not tap by tap: this was 2^40 steps.
TEST(BadInput, WideWindowsTakeNoTime) {
  OnnxBuilder model({kN, 1, 1});
  auto& pool = model.node("MaxPool", {"x"});
  set(pool, "kernel_shape", std::vector<int64_t>{1 << 20});
  set(pool, "pads", {(1 << 20) - 1, (1 << 20) - 1});
  const FloatNetwork network = lower(fold(model.parse()));
  EXPECT_EQ(network.tensor(network.output).shape, (Shape{1, 1 << 20}));
}

// Packed data

TEST(BadInput, PackedCodes) {
  using T = onnx::TensorProto;
  const auto parse = [](int type, const Shape& shape, const std::string& raw) {
    OnnxBuilder model({kN, 4});
    add_codes(model, "w", type, shape, {}).set_raw_data(raw);
    model.node("Relu", {"x"});
    return model.parse().initializers.at("w").integers();
  };
  constexpr int kInt4 = 22, kUint4 = 21, kInt2 = 26;  // newer than the installed library
  EXPECT_EQ(parse(kInt4, {3}, "\x21\x0f"), (std::vector<int64_t>{1, 2, -1})) << "odd";
  EXPECT_EQ(parse(kUint4, {3}, "\xf1\xff"), (std::vector<int64_t>{1, 15, 15})) << "unused bits set";
  EXPECT_EQ(parse(kInt2, {5}, "\xe4\x03"), (std::vector<int64_t>{0, 1, -2, -1, -1}));
  EXPECT_EQ(parse(kInt4, {0}, ""), std::vector<int64_t>());
  for (const std::string& raw :
       {std::string("\x21"), std::string("\x21\x03\x00", 3), std::string()}) {
    EXPECT_THAT(input_error([&] { parse(kInt4, {3}, raw); }),
                AllOf(HasSubstr("initializer 'w'"), HasSubstr("the shape [3] needs 2")));
  }
  EXPECT_THAT(input_error([&] { parse(T::INT8, {3}, "\x01\x02"); }), HasSubstr("needs 3"));
}

// External data

class ExternalData : public testing::Test {
 protected:
  ExternalData() {
    root_ =
        fs::temp_directory_path() / (std::string("widthwise_external_") +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_ / "net" / "below");
    for (const fs::path& path : {root_ / "outside.bin", root_ / "net" / "data.bin",
                                 root_ / "net" / "below" / "data.bin"}) {
      std::ofstream(path, std::ios::binary) << std::string(16, '\0');
    }
    fs::create_symlink(root_ / "outside.bin", root_ / "net" / "link.bin");
    fs::create_directory_symlink(root_, root_ / "net" / "up");
    fs::create_symlink("data.bin", root_ / "net" / "inside.bin");
    fs::create_symlink("loop.bin", root_ / "net" / "loop.bin");
  }
  ~ExternalData() override { fs::remove_all(root_); }

  Graph load(const std::vector<std::pair<std::string, std::string>>& entries) const {
    OnnxBuilder model({kN, 4});
    auto& tensor = add_codes(model, "w", onnx::TensorProto::FLOAT, {4}, {});
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    model.node("Add", {"x", "w"});
    const fs::path path = root_ / "net" / "net.onnx";
    std::ofstream(path, std::ios::binary) << model.bytes();
    return load_graph(path);
  }
  std::string message(const std::vector<std::pair<std::string, std::string>>& entries) const {
    const std::string text = input_error([&] { load(entries); });
    EXPECT_THAT(text, HasSubstr("initializer 'w'"));
    return text;
  }

  fs::path root_;
};

TEST_F(ExternalData, BelowTheFolder) {
  for (const char* location : {"data.bin", "below/data.bin", "./data.bin", "inside.bin"})
    EXPECT_EQ(load({{"location", location}}).initializers.at("w").elements(), 4) << location;
  EXPECT_EQ(load({{"location", "data.bin"}, {"offset", "0"}, {"length", "16"}}).nodes.size(), 1u);
}

TEST_F(ExternalData, OutsideOfTheFolder) {
  for (const std::string& location :
       {std::string("../outside.bin"), (root_ / "outside.bin").string(),
        (root_ / "net" / "data.bin").string(), std::string("below/../../outside.bin"),
        std::string("link.bin"), std::string("up/outside.bin"), std::string(""), std::string("."),
        std::string(".."), std::string("/etc/passwd"), std::string("data.bin\0x", 10)}) {
    EXPECT_THAT(message({{"location", location}}), HasSubstr("external_data.location")) << location;
  }
}

TEST_F(ExternalData, MissingFilesAndFolders) {
  for (const char* location : {"nothing.bin", "below", "below/nothing/data.bin", "loop.bin"})
    EXPECT_THAT(message({{"location", location}}), HasSubstr("external_data.location")) << location;
  EXPECT_THAT(message({}), HasSubstr("external_data.location"));
}

TEST_F(ExternalData, OffsetsAndLengthsBeyondTheFile) {
  const std::string most = std::to_string(std::numeric_limits<int64_t>::max());
  const std::vector<std::pair<std::string, std::string>> cases[] = {
      {{"offset", "1"}},   {{"offset", "17"}}, {{"offset", most}},
      {{"length", "17"}},  {{"length", most}}, {{"offset", most}, {"length", most}},
      {{"length", "12"}},  {{"offset", "-1"}}, {{"length", "-1"}},
      {{"offset", "0x0"}}, {{"offset", ""}},   {{"length", "99999999999999999999999"}},
      {{"offset", " 0 "}}, {{"size", "16"}}};
  for (auto entries : cases) {
    const std::string field = entries[0].first;
    entries.insert(entries.begin(), {"location", "data.bin"});
    EXPECT_THAT(message(entries), HasSubstr("external_data")) << field << entries[1].second;
  }
}

// Scales, zero points, widths

struct BadScale {
  const char* name;
  float value;
};
void PrintTo(const BadScale& c, std::ostream* out) { *out << c.name; }
const BadScale kBadScales[] = {
    {"NotANumber", kNan},         {"Infinite", kInfinity}, {"Zero", 0},
    {"MinusZero", -0.0F},         {"Negative", -0.5F},     {"Denormal", kDenormal},
    {"MinusInfinite", -kInfinity}};

class BadScales : public testing::TestWithParam<BadScale> {};

TEST_P(BadScales, OfQuantizeAndDequantizeLinear) {
  for (const char* op : {"QuantizeLinear", "DequantizeLinear"}) {
    OnnxBuilder model({kN, 4});
    const bool quantize = std::string(op) == "QuantizeLinear";
    if (!quantize) {
      model.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
          onnx::TensorProto::UINT8);
    }
    constant(model, "s", GetParam().value);
    model.node(op, {"x", "s"}).set_name("n");
    EXPECT_THAT(message_of(model), AllOf(HasSubstr("node 'n'"), HasSubstr("input 's' (scale)")));
  }
}

TEST_P(BadScales, OfQLinearConv) {
  for (int bad = 0; bad < 3; ++bad) {
    OnnxBuilder model({kN, 1, 4, 4});
    model.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
        onnx::TensorProto::UINT8);
    const char* names[] = {"xs", "ws", "ys"};
    for (int i = 0; i < 3; ++i) constant(model, names[i], i == bad ? GetParam().value : 0.5F);
    add_codes(model, "z", onnx::TensorProto::UINT8, {}, {0});
    add_codes(model, "w", onnx::TensorProto::UINT8, {1, 1, 1, 1}, {1});
    model.node("QLinearConv", {"x", "xs", "z", "w", "ws", "z", "ys", "z"}).set_name("n");
    EXPECT_THAT(message_of(model), AllOf(HasSubstr("node 'n' (QLinearConv)"),
                                         HasSubstr(fmt::format("input '{}' (scale)", names[bad]))));
  }
}

OnnxBuilder quant(float scale, float zero_point, float bits) {
  OnnxBuilder model({kN, 4});
  auto* import = model.model().add_opset_import();
  import->set_domain("qonnx.custom_op.general");
  import->set_version(1);
  constant(model, "s", scale);
  constant(model, "z", zero_point);
  constant(model, "b", bits);
  auto& node = model.node("Quant", {"x", "s", "z", "b"});
  node.set_name("n");
  node.set_domain("qonnx.custom_op.general");
  set(node, "signed", int64_t{1});
  set(node, "narrow", int64_t{0});
  return model;
}

TEST_P(BadScales, OfQuant) {
  OnnxBuilder model = quant(GetParam().value, 0, 4);
  EXPECT_THAT(message_of(model), AllOf(HasSubstr("node 'n' (Quant)"), HasSubstr("scale is")));
}

INSTANTIATE_TEST_SUITE_P(Cases, BadScales, testing::ValuesIn(kBadScales),
                         [](const auto& test) { return test.param.name; });

TEST(BadInput, BitWidthsOfQuant) {
  for (const float bits : {0.0F, 33.0F, 2.5F, kNan, -1.0F, kInfinity, 1e30F}) {
    OnnxBuilder model = quant(0.5F, 0, bits);
    EXPECT_THAT(message_of(model), AllOf(HasSubstr("node 'n' (Quant)"), HasSubstr("bitwidth is"),
                                         HasSubstr("allowed are integers 1..32")));
  }
}

TEST(BadInput, ZeroPointsOfQuant) {
  for (const float zero_point : {0.5F, kNan, kInfinity, 1e12F}) {
    OnnxBuilder model = quant(0.5F, zero_point, 4);
    EXPECT_THAT(message_of(model),
                AllOf(HasSubstr("node 'n' (Quant)"), HasSubstr("zero_point is")));
  }
}

TEST(BadInput, ZeroPointsThatAreNoIntegers) {
  OnnxBuilder model({kN, 4});
  constant(model, "s", 0.5F);
  constant(model, "z", 3);
  model.node("QuantizeLinear", {"x", "s", "z"}).set_name("n");
  EXPECT_THAT(message_of(model), AllOf(HasSubstr("node 'n' (QuantizeLinear)"), HasSubstr("'z'"),
                                       HasSubstr("allowed are integers")));
}

// Names

TEST(BadInput, EmptyNames) {
  OnnxBuilder initializer({kN, 4});
  initializer.floats("", {4}, {1, 2, 3, 4});
  initializer.node("Relu", {"x"});
  EXPECT_THAT(message_of(initializer), HasSubstr("initializer: name is empty"));
  OnnxBuilder input({kN, 4});
  OnnxBuilder::value(*input.graph().add_input(), "", {4});
  input.node("Relu", {"x"});
  EXPECT_THAT(message_of(input), HasSubstr("input: name is empty"));
  for (const std::vector<std::string>& outputs : {std::vector<std::string>{}, {"", ""}}) {
    OnnxBuilder node({kN, 4});
    node.node("Relu", {"x"});
    node.node("Split", {"x"}, outputs).set_name("n");
    EXPECT_THAT(message_of(node), AllOf(HasSubstr("node 'n' (Split)"), HasSubstr("count is 0")));
  }
  OnnxBuilder copy({kN, 4});
  copy.node("Identity", {""}, {"c"}).set_name("n");
  copy.node("Clip", {"x", "c"});
  EXPECT_THAT(message_of(copy), AllOf(HasSubstr("node 'n' (Identity)"), HasSubstr("is missing")));
}

}  // namespace
}  // namespace widthwise
