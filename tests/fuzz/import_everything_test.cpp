// The fuzzer's corpus and what it found, through the same function, without a fuzzer.
#include "tests/fuzz/import_everything.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "core/files.h"
#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
constexpr int64_t kN = GraphValue::kSymbolic;

double seconds_of(const std::string& bytes) {
  const auto start = std::chrono::steady_clock::now();
  import_everything(bytes);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Folder : public testing::TestWithParam<const char*> {};

TEST_P(Folder, IsImportedOrRefusedInTime) {
  constexpr double kMostSeconds = 2;
  int files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(WIDTHWISE_TREE) / GetParam())) {
    SCOPED_TRACE(entry.path().filename().string());
    EXPECT_LT(seconds_of(read_file(entry.path(), "")), kMostSeconds);
    ++files;
  }
  EXPECT_GT(files, 0);
}

INSTANTIATE_TEST_SUITE_P(Files, Folder,
                         testing::Values("tests/fuzz/corpus", "tests/fuzz/regressions"),
                         [](const auto& test) { return fs::path(test.param).filename().string(); });

// The function reaches every stage, so that passing it means something.
TEST(ImportEverything, ReachesEveryStage) {
  const auto imported = [](const char* name) {
    return import_everything(
        read_file(fs::path(WIDTHWISE_TREE) / "tests" / "golden" / name / "model.onnx", ""));
  };
  const Imported quantized = imported("qdq_conv_relu"), real = imported("gemm_scalar_bias");
  EXPECT_TRUE(quantized.fused && quantized.reported);
  EXPECT_GE(quantized.runs, 8) << "by two ways of fusing and three kinds of requantizer";
  EXPECT_TRUE(real.lowered);
  EXPECT_EQ(real.runs, 4);
  EXPECT_FALSE(import_everything("").parsed);
}

void set_type(OnnxBuilder& model, int type) {
  model.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(type);
}

constexpr int kUint8 = onnx::TensorProto::UINT8, kInt32 = onnx::TensorProto::INT32,
              kDouble = onnx::TensorProto::DOUBLE;

// Refused when it is run, or before.
std::string run_message(OnnxBuilder& model) {
  return input_error([&] {
    const Graph graph = fuse(model.parse());
    Tensor tensor(graph.inputs.at(0).type, input_shapes(graph).at("x"));
    GraphRunner(graph).run({{"x", tensor}});
  });
}

// Cases that ended in another exception, a division by zero or a read beyond a list.

TEST(Regressions, OperandsOfTwoTypes) {
  const auto with = [](const char* op, const Shape& x, const Shape& w) {
    OnnxBuilder model(x);
    auto& tensor = *model.graph().add_initializer();
    tensor.set_name("w");
    tensor.set_data_type(kDouble);
    for (const int64_t extent : w) tensor.add_dims(extent);
    for (int64_t i = 0; i < shape_elements(w); ++i) tensor.add_double_data(1);
    model.node(op, {"x", "w"});
    return run_message(model);
  };
  EXPECT_THAT(with("Conv", {1, 1, 2, 2}, {1, 1, 1, 1}), HasSubstr("types float and double"));
  EXPECT_THAT(with("Gemm", {1, 2}, {2, 2}), HasSubstr("types float and double"));
  EXPECT_THAT(with("MatMul", {1, 2}, {2, 2}), HasSubstr("types float and double"));
}

TEST(Regressions, LimitsOfAnotherType) {
  OnnxBuilder model({1, 2});
  set_type(model, kInt32);
  model.floats("low", {}, {1e30F});
  model.node("Clip", {"x", "low"});
  EXPECT_THAT(run_message(model), HasSubstr("types int32 and float"));
}

TEST(Regressions, PadsOfAnotherType) {
  OnnxBuilder model({1, 2});
  set_type(model, kInt32);
  model.integers("pads", {0, 1, 0, 0});
  model.floats("value", {}, {1e30F});
  model.node("Pad", {"x", "pads", "value"});
  EXPECT_THAT(run_message(model), HasSubstr("types int32 and float"));
}

TEST(Regressions, NormalizationOfNoImages) {
  OnnxBuilder model({1, 3});
  for (const char* name : {"s", "b", "m", "v"}) model.floats(name, {3}, {1, 1, 1});
  model.floats("none", {0, 3}, {});
  model.node("BatchNormalization", {"none", "s", "b", "m", "v"}, {"n"});
  model.node("Concat", {"n", "x"});
  set(*model.graph().mutable_node(1), "axis", int64_t{0});
  EXPECT_GE(import_everything(model.bytes()).runs, 2);
}

TEST(Regressions, ImagesWithoutPixels) {
  OnnxBuilder model({1, 1, 2, 2});
  model.floats("none", {1, 1, 2, 0}, {});
  auto& pool = model.node("MaxPool", {"none"}, {"y", "indices"});
  set(pool, "kernel_shape", {1, 1});
  set(pool, "pads", {0, 1, 0, 1});
  set(pool, "storage_order", int64_t{1});
  EXPECT_THAT(run_message(model), HasSubstr("without pixels"));
}

TEST(Regressions, ConvolutionOfNoChannels) {
  OnnxBuilder model({1, 1, 2, 2});
  model.floats("w", {0, 1, 1, 1}, {});
  model.node("Conv", {"x", "w"});
  EXPECT_TRUE(import_everything(model.bytes()).reported);
}

TEST(Regressions, SecondOutputOfAProduct) {
  OnnxBuilder model({1, 2});
  set_type(model, kUint8);
  add_codes(model, "w", kUint8, {2, 2}, {1, 2, 3, 4});
  model.node("MatMulInteger", {"x", "w"}, {"y", "z"});
  EXPECT_THAT(run_message(model), HasSubstr("output 1 'z'"));
}

TEST(Regressions, SecondOutputOfAFusedRelu) {
  OnnxBuilder model({1, 2});
  model.floats("s", {}, {0.5F});
  add_codes(model, "z", kUint8, {}, {3});
  add_codes(model, "w", kUint8, {2, 2}, {1, 2, 3, 4});
  model.node("QuantizeLinear", {"x", "s", "z"}, {"xq"});
  model.node("DequantizeLinear", {"xq", "s", "z"}, {"xd"});
  model.node("DequantizeLinear", {"w", "s", "z"}, {"wd"});
  model.node("MatMul", {"xd", "wd"}, {"m"});
  model.node("Relu", {"m"}, {"r", "second"});
  model.node("QuantizeLinear", {"r", "s", "z"}, {"q"});
  model.node("Cast", {"q"}, {"f"});
  set(*model.graph().mutable_node(6), "to", int64_t{1});
  model.node("Add", {"f", "second"});
  EXPECT_THAT(run_message(model), HasSubstr("output 1 'second'"));
}

// The scale of a product is an input of the network.
TEST(Regressions, ScalesThatAreComputed) {
  OnnxBuilder model({1, 2});
  set_type(model, kUint8);
  OnnxBuilder::value(*model.graph().add_input(), "s", {2});
  add_codes(model, "w", kUint8, {2, 2}, {1, 2, 3, 4});
  add_codes(model, "z", kUint8, {}, {0});
  model.floats("one", {}, {1});
  model.node("QLinearMatMul", {"x", "one", "z", "w", "s", "z", "one", "z"});
  const Graph fused = fuse(model.parse());
  EXPECT_EQ(graph_report(fused)[0]["macs"], 4);
}

// It became a layer whose weights were all zero.
TEST(Regressions, WeightsThatAreComputed) {
  OnnxBuilder model({1, 1});
  set_type(model, kUint8);
  model.floats("one", {}, {1});
  add_codes(model, "z", kUint8, {}, {0});
  model.node("QLinearMatMul", {"x", "one", "z", "x", "one", "z", "one", "z"}).set_name("n");
  const Graph fused = fuse(model.parse());
  EXPECT_EQ(graph_report(fused)[0]["macs"], 1);
  EXPECT_THAT(input_error([&] { import_quantized(fused); }),
              AllOf(HasSubstr("node 'n'"), HasSubstr("is not constant")));
}

TEST(Regressions, ScalesThatDoNotFitTheChannels) {
  OnnxBuilder model({1, 1, 2, 2});
  set_type(model, kUint8);
  model.floats("one", {}, {1});
  model.floats("three", {3}, {1, 1, 1});
  add_codes(model, "z", kUint8, {}, {0});
  add_codes(model, "w", kUint8, {2, 1, 1, 1}, {1, 2});
  model.node("QLinearConv", {"x", "one", "z", "w", "three", "z", "one", "z"}).set_name("n");
  const Graph fused = fuse(model.parse());
  EXPECT_THAT(input_error([&] { import_quantized(fused); }), HasSubstr("have 3 values"));
}

TEST(Regressions, PoolWithoutFirstOutput) {
  OnnxBuilder model({1, 1, 2, 2});
  model.floats("one", {}, {1});
  add_codes(model, "z", kUint8, {}, {0});
  model.node("QuantizeLinear", {"x", "one", "z"}, {"q"});
  set(model.node("MaxPool", {"q"}, {"", "y"}), "kernel_shape", {1, 1});
  EXPECT_GE(import_everything(model.bytes()).runs, 2);
  EXPECT_THAT(input_error([&] { import_quantized(fuse(model.parse())); }),
              HasSubstr("output 0 is missing"));
}

// Activations of a quarter of a gigabyte are reported without being made.
TEST(Regressions, ReportsAllocateNoActivations) {
  OnnxBuilder model({1, 1 << 14, 1 << 14});
  set_type(model, kUint8);
  model.node("MatMulInteger", {"x", "x"});
  OnnxBuilder conv({1, 1, 1 << 14, 1 << 14});
  set_type(conv, kUint8);
  add_codes(conv, "w", kUint8, {1, 1, 1, 1}, {1});
  conv.node("ConvInteger", {"x", "w"});
  EXPECT_EQ(graph_report(fuse(model.parse()))[0]["macs"], int64_t{1} << 42);
  EXPECT_EQ(graph_report(fuse(conv.parse()))[0]["macs"], 1 << 28);
  EXPECT_LT(seconds_of(model.bytes()), 1);
  EXPECT_LT(seconds_of(conv.bytes()), 1);
}

// What took the square of the number of nodes: one name for all, copies that write outputs, batch
// normalizations to be folded.
TEST(Regressions, TwentyThousandNodes) {
  constexpr int kCount = 5000;
  OnnxBuilder model({kN, 4});
  std::string at = "x";
  for (const char* name : {"s", "b", "m", "v"}) model.floats(name, {4}, {1, 1, 1, 1});
  model.floats("w", {4, 4}, std::vector<float>(16, 0.1F));
  for (int i = 0; i < kCount; ++i) {
    const std::string name = fmt::format("n{}", i);
    model.node("Gemm", {at, "w"}, {name + "g"}).set_name("same");
    model.node("BatchNormalization", {name + "g", "s", "b", "m", "v"}, {name + "b"})
        .set_name("same");
    at = name + "r";
    model.node("Relu", {name + "b"}, {at}).set_name("same");
    model.node("Identity", {at}, {name + "o"}).set_name("same");
    if (i % 2 == 0) OnnxBuilder::value(*model.graph().add_output(), name + "o", {});
  }
  const std::string several = model.bytes();
  model.graph().clear_output();
  const std::string one = model.bytes(at);
  constexpr double kMostSeconds = 3;  // without optimisation, too; it was a minute with
  for (const std::string* bytes : {&several, &one}) {
    const auto start = std::chrono::steady_clock::now();
    const Graph graph = parse_graph(*bytes, "net.onnx");
    fuse(graph);
    if (bytes == &one) lower(fold(graph));
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    EXPECT_LT(time.count(), kMostSeconds);
  }
}

}  // namespace
}  // namespace widthwise
