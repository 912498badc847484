// Every kind of bad file gives an InputError that names file, place, what is allowed and a fix.
#include <functional>
#include <ostream>

#include "core/files.h"
#include "models/model.h"
#include "models/onnx_import.h"
#include "tests/models/compare.h"
#include "tests/models/onnx_builder.h"

namespace widthwise {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
constexpr int64_t kN = GraphValue::kSymbolic;

// x [N, 3, 8, 8] -> Conv "conv" -> c -> Relu -> y
OnnxBuilder good_model() {
  OnnxBuilder model({kN, 3, 8, 8});
  model.random("w", {4, 3, 3, 3});
  model.node("Conv", {"x", "w"}, {"c"}).set_name("conv");
  model.node("Relu", {"c"}).set_name("relu");
  return model;
}

struct BadModel {
  const char* name;
  std::function<void(OnnxBuilder&)> spoil;  // on good_model()
  std::vector<std::string> message;         // parts of it
};
void PrintTo(const BadModel& c, std::ostream* out) { *out << c.name; }

onnx::TensorProto& weight(OnnxBuilder& m) { return *m.graph().mutable_initializer(0); }
onnx::NodeProto& conv(OnnxBuilder& m) { return *m.graph().mutable_node(0); }
void replace_node(OnnxBuilder& m, int i, const std::string& op, const std::vector<std::string>& in,
                  const std::vector<std::string>& out) {
  auto& node = *m.graph().mutable_node(i);
  node.Clear();
  node.set_op_type(op);
  node.set_name("spoiled");
  for (const auto& v : in) node.add_input(v);
  for (const auto& v : out) node.add_output(v);
}

const BadModel kBadModels[] = {
    {"NoOpset", [](auto& m) { m.model().clear_opset_import(); }, {"opset_import", "ai.onnx"}},
    {"OpsetTooOld",
     [](auto& m) { m.model().mutable_opset_import(0)->set_version(6); },
     {"opset is 6, allowed 7..25"}},
    {"OpsetTooNew",
     [](auto& m) { m.model().mutable_opset_import(0)->set_version(26); },
     {"opset is 26, allowed 7..25"}},
    {"NoGraph", [](auto& m) { m.model().clear_graph(); }, {"is not an ONNX file"}},
    {"Functions", [](auto& m) { m.model().add_functions(); }, {"functions are not supported"}},
    {"TwoInputs",
     [](auto& m) {
       OnnxBuilder::value(*m.graph().add_input(), "x2", {kN, 3});
     },
     {"input count is 2, allowed 1"}},
    {"TwoOutputs",
     [](auto& m) {
       OnnxBuilder::value(*m.graph().add_output(), "y", {});
       OnnxBuilder::value(*m.graph().add_output(), "c", {});
     },
     {"output count is 2, allowed 1"}},
    {"NoInput",
     [](auto& m) { m.graph().clear_input(); },
     {"node 'conv' (Conv)", "input 'x' is not the output of a node"}},
    {"InputOfIntegers",
     [](auto& m) {
       m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
           onnx::TensorProto::UINT8);
     },
     {"input 'x'", "element type uint8"}},
    {"InputWithOpenRows",
     [](auto& m) {
       OnnxBuilder::value(*m.graph().mutable_input(0), "x", {}),
           m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape(),
           OnnxBuilder::value(*m.graph().mutable_input(0), "x", {kN, 3, kN, 8});
     },
     {"input 'x'", "[N, 3, N, 8]", "beyond the batch"}},
    {"InputWithoutShape",
     [](auto& m) {
       m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
     },
     {"input 'x'", "at least 2"}},
    {"AbsurdInput",
     [](auto& m) {
       m.graph()
           .mutable_input(0)
           ->mutable_type()
           ->mutable_tensor_type()
           ->mutable_shape()
           ->mutable_dim(2)
           ->set_dim_value(int64_t{1} << 40);
     },
     {"input 'x'", "1099511627776"}},
    {"UnknownDomain",
     [](auto& m) { conv(m).set_domain("com.acme"); },
     {"node 'conv' (Conv)", "domain is 'com.acme', allowed ai.onnx, com.microsoft, qonnx"}},
    {"MissingInitializer",
     [](auto& m) { m.graph().clear_initializer(); },
     {"node 'conv' (Conv)", "input 'w'", "is not the output of a node"}},
    {"MissingValue",
     [](auto& m) { m.graph().mutable_node(1)->set_input(0, "lost"); },
     {"node 'relu' (Relu)", "input 'lost'"}},
    {"MissingOutput",
     [](auto& m) { OnnxBuilder::value(*m.graph().add_output(), "nowhere", {}); },
     {"output 'nowhere'", "is not written by any node"}},
    {"Cycle", [](auto& m) { conv(m).set_input(0, "y"); }, {"node 'conv' (Conv)", "on a cycle"}},
    {"TwoWriters",
     [](auto& m) { m.node("Relu", {"x"}, {"c"}); },
     {"output 'c'", "written by two nodes"}},
    {"WritesAnInitializer",
     [](auto& m) { m.node("Relu", {"x"}, {"w"}); },
     {"output 'w'", "name of an input or initializer"}},
    {"DuplicateInitializer",
     [](auto& m) { m.random("w", {1}); },
     {"initializer 'w'", "name is used twice"}},
    {"HalfPrecision",
     [](auto& m) { weight(m).set_data_type(onnx::TensorProto::FLOAT16); },
     {"initializer 'w'", "data_type is FLOAT16, allowed float"}},
    {"UnknownType", [](auto& m) { weight(m).set_data_type(99); }, {"data_type is 99"}},
    {"AbsurdDims",
     [](auto& m) { weight(m).set_dims(0, int64_t{1} << 40); },
     {"initializer 'w'", "dims are [1099511627776, 3, 3, 3]"}},
    {"ProductThatWrapsAround",
     [](auto& m) {
       for (int i = 0; i < 4; ++i) weight(m).set_dims(i, int64_t{1} << 16);
     },
     {"dims are [65536, 65536, 65536, 65536]"}},
    {"NegativeDim", [](auto& m) { weight(m).set_dims(0, -4); }, {"dims are [-4, 3, 3, 3]"}},
    {"TooFewElements",
     [](auto& m) { weight(m).mutable_float_data()->RemoveLast(); },
     {"data has 107 elements, the shape [4, 3, 3, 3] needs 108"}},
    {"TooManyBytes",
     [](auto& m) { weight(m).set_raw_data(std::string(433, '\0')); },
     {"data has 433 bytes, the shape [4, 3, 3, 3] needs 432"}},
    {"NotANumber",
     [](auto& m) { weight(m).set_float_data(5, std::numeric_limits<float>::quiet_NaN()); },
     {"initializer 'w'", "element 5 is nan"}},
    {"Infinity",
     [](auto& m) { weight(m).set_float_data(0, -std::numeric_limits<float>::infinity()); },
     {"element 0 is -inf"}},
    {"ExternalData",
     [](auto& m) { weight(m).set_data_location(onnx::TensorProto::EXTERNAL); },
     {"initializer 'w'", "external_data.location is ''"}},
    {"UnknownOperator",
     [](auto& m) { conv(m).set_op_type("LSTM"); },
     {"node 'conv' (LSTM)", "is not supported; known are Abs, Add, And, ArgMax"}},
    {"UnknownAttribute",
     [](auto& m) { set(conv(m), "padding", int64_t{1}); },
     {"node 'conv' (Conv)", "padding is an unknown attribute; known are auto_pad, dilations"}},
    {"AttributeOfOtherType",
     [](auto& m) { set(conv(m), "group", 1.0f); },
     {"group must be an integer"}},
    {"AttributeTwice",
     [](auto& m) {
       set(conv(m), "group", int64_t{1});
       set(conv(m), "group", int64_t{1});
     },
     {"group is given twice"}},
    {"WrongGroups",
     [](auto& m) { set(conv(m), "group", int64_t{2}); },
     {"group is 2 for 3 channels"}},
    {"ZeroGroups", [](auto& m) { set(conv(m), "group", int64_t{0}); }, {"group is 0"}},
    {"ZeroStride",
     [](auto& m) {
       set(conv(m), "strides", std::vector<int64_t>{0, 1});
     },
     {"strides holds 0, allowed 1..1048576"}},
    {"NegativePads",
     [](auto& m) {
       set(conv(m), "pads", {-1, 0, 0, 0});
     },
     {"pads holds -1"}},
    {"TooFewPads",
     [](auto& m) {
       set(conv(m), "pads", {1, 1});
     },
     {"pads has 2 entries, needed 4"}},
    {"KernelLargerThanImage",
     [](auto& m) {
       set(conv(m), "dilations", {9, 1});
     },
     {"kernel_shape [3, 3] spans 19 elements, the padded ifmap has 8"}},
    {"OtherKernelShape",
     [](auto& m) {
       set(conv(m), "kernel_shape", {5, 5});
     },
     {"kernel_shape differs from the weight's shape [4, 3, 3, 3]"}},
    {"AutoPadUnknown",
     [](auto& m) { set(conv(m), "auto_pad", "FULL"); },
     {"auto_pad is FULL, allowed NOTSET"}},
    {"AutoPadAndPads",
     [](auto& m) {
       set(conv(m), "auto_pad", "VALID");
       set(conv(m), "pads", {0, 1, 0, 0});
     },
     {"pads are given although auto_pad is VALID"}},
    {"AbsurdPads",
     [](auto& m) {
       set(conv(m), "pads", {1 << 20, 1 << 20, 1 << 20, 1 << 20});
     },
     {"output 'c'", "has the shape"}},
    {"WeightThatIsComputed",
     [](auto& m) { conv(m).set_input(1, "x"); },
     {"input 'x' (weight) is not constant"}},
    {"WeightOfAnotherRank",
     [](auto& m) { OnnxBuilder::value(*m.graph().mutable_input(0), "x", {4}); },
     {"node 'conv' (Conv)", "weight has the shape [4, 3, 3, 3]", "over all axes after the"}},
    {"ThreeDimensionalConv",
     [](auto& m) {
       OnnxBuilder::value(*m.graph().mutable_input(0), "x", {4});
       m.graph().mutable_initializer(0)->add_dims(1);
     },
     {"node 'conv' (Conv)", "weight has the shape [4, 3, 3, 3, 1]", "allowed are 1-D and 2-D"}},
    {"CeilMode",
     [](auto& m) {
       replace_node(m, 0, "AveragePool", {"x"}, {"c"});
       set(conv(m), "kernel_shape", {3, 3});
       set(conv(m), "strides", {2, 2});
       set(conv(m), "ceil_mode", int64_t{1});
     },
     {"node 'spoiled' (AveragePool)", "ceil_mode lets windows reach beyond the pads"}},
    {"IndicesOfMaxPool",
     [](auto& m) {
       replace_node(m, 0, "MaxPool", {"x"}, {"c", "indices"});
       set(conv(m), "kernel_shape", {2, 2});
     },
     {"output 1 'indices' is not supported"}},
    {"PoolWithoutKernel",
     [](auto& m) { replace_node(m, 0, "MaxPool", {"x"}, {"c"}); },
     {"kernel_shape [] has 0 axes"}},
    {"PoolWindowInThePads",
     [](auto& m) {
       replace_node(m, 0, "MaxPool", {"x"}, {"c"});
       set(conv(m), "kernel_shape", {2, 2});
       set(conv(m), "pads", {2, 0, 0, 0});
     },
     {"pads let a window lie outside the ifmap"}},
    {"AverageWithUncountedPads",
     [](auto& m) {
       replace_node(m, 0, "AveragePool", {"x"}, {"c"});
       set(conv(m), "kernel_shape", {2, 2});
       set(conv(m), "pads", {1, 0, 0, 0});
     },
     {"pads with count_include_pad=0", "allowed are no pads, or count_include_pad=1"}},
    {"PadByOne",
     [](auto& m) {
       m.integers("pads", {0, 0, 1, 1, 0, 0, 1, 1});
       replace_node(m, 0, "Pad", {"x", "pads"}, {"c"});
     },
     {"pads are [0, 0, 1, 1, 0, 0, 1, 1], allowed are zeros only"}},
    {"DropoutInTraining",
     [](auto& m) {
       m.floats("ratio", {}, {0.5f});
       m.integers("training", {1});
       replace_node(m, 0, "Dropout", {"x", "ratio", "training"}, {"c"});
     },
     {"training_mode must be a constant false"}},
    {"TransposeOfTheBatch",
     [](auto& m) {
       replace_node(m, 0, "Transpose", {"x"}, {"c"});
       set(conv(m), "perm", {1, 0, 2, 3});
     },
     {"perm [1, 0, 2, 3] moves the batch"}},
    {"TransposeByDefault",
     [](auto& m) { replace_node(m, 0, "Transpose", {"x"}, {"c"}); },
     {"perm [3, 2, 1, 0] moves the batch"}},
    {"NoPermutation",
     [](auto& m) {
       replace_node(m, 0, "Transpose", {"x"}, {"c"});
       set(conv(m), "perm", {0, 1, 1, 3});
     },
     {"is no permutation of 0..3"}},
    {"ConcatOfTheBatch",
     [](auto& m) {
       replace_node(m, 0, "Concat", {"x", "x"}, {"c"});
       set(conv(m), "axis", int64_t{0});
     },
     {"axis is 0, the batch"}},
    {"ConcatOfUnequalShapes",
     [](auto& m) {
       m.node("GlobalAveragePool", {"x"}, {"g"});
       replace_node(m, 0, "Concat", {"x", "g"}, {"c"});
       set(conv(m), "axis", int64_t{1});
     },
     {"[1, 3, 8, 8] and [1, 3, 1, 1] differ beyond axis 1"}},
    {"SplitThatDoesNotFit",
     [](auto& m) {
       m.integers("parts", {1, 3});
       replace_node(m, 0, "Split", {"x", "parts"}, {"c", "d"});
       set(conv(m), "axis", int64_t{1});
     },
     {"split [1, 3] does not cut an extent of 3 into 2 parts"}},
    {"SliceOfTheBatch",
     [](auto& m) {
       m.integers("zero", {0});
       m.integers("one", {1});
       replace_node(m, 0, "Slice", {"x", "zero", "one", "zero"}, {"c"});
     },
     {"axes is 0, the batch"}},
    {"SliceOfNothing",
     [](auto& m) {
       m.integers("two", {2});
       replace_node(m, 0, "Slice", {"x", "two", "two", "two"}, {"c"});
     },
     {"output 'c' has the shape [1, 3, 0, 8]"}},
    {"ReshapeThatDoesNotFit",
     [](auto& m) {
       m.integers("shape", {1, 100});
       replace_node(m, 0, "Reshape", {"x", "shape"}, {"c"});
     },
     {"shape [1, 100] does not hold 192 elements for an ifmap of [1, 3, 8, 8]"}},
    {"ReshapeOfTheBatch",
     [](auto& m) {
       m.integers("shape", {-1, 8});
       replace_node(m, 0, "Reshape", {"x", "shape"}, {"c"});
     },
     {"output 'c' has the shape [24, 8] for one image"}},
    {"FlattenOfTheBatch",
     [](auto& m) {
       replace_node(m, 0, "Flatten", {"x"}, {"c"});
       set(conv(m), "axis", int64_t{0});
     },
     {"axis is 0, which merges the batch"}},
    {"AddOfUnequalShapes",
     [](auto& m) {
       replace_node(m, 1, "Add", {"c", "x"}, {"y"});
     },
     {"shapes [1, 4, 6, 6] and [1, 3, 8, 8] differ"}},
    {"AddOfAnImage",
     [](auto& m) {
       m.random("k", {4, 6, 6});
       replace_node(m, 1, "Add", {"c", "k"}, {"y"});
     },
     {"does not add one value per channel"}},
    {"GemmTransA",
     [](auto& m) {
       m.random("k", {192, 10});
       m.node("Flatten", {"x"}, {"f"});
       replace_node(m, 0, "Gemm", {"f", "k"}, {"c"});
       set(conv(m), "transA", int64_t{1});
     },
     {"transA is 1, allowed 0"}},
    {"GemmOfOtherSize",
     [](auto& m) {
       m.random("k", {191, 10});
       m.node("Flatten", {"x"}, {"f"});
       replace_node(m, 0, "Gemm", {"f", "k"}, {"c"});
     },
     {"shapes [1, 192] and [191, 10] do not fit"}},
    {"MatMulOfTwoActivations",
     [](auto& m) {
       replace_node(m, 1, "MatMul", {"x", "c"}, {"y"});
     },
     {"input 'c' (B) is not constant"}},
    {"MatMulOverRows",
     [](auto& m) {
       m.random("k", {8, 10});
       replace_node(m, 0, "MatMul", {"x", "k"}, {"c"});
     },
     {"[1, 3, 8, 8] and [8, 10] are not supported"}},
    {"NormalizationInTraining",
     [](auto& m) {
       m.random("k", {3}, 1);
       replace_node(m, 0, "BatchNormalization", {"x", "k", "k", "k", "k"}, {"c"});
       set(conv(m), "training_mode", int64_t{1});
     },
     {"training_mode is 1, allowed 0"}},
    {"NegativeVariance",
     [](auto& m) {
       m.floats("k", {3}, {-1, 1, 1});
       replace_node(m, 0, "BatchNormalization", {"x", "k", "k", "k", "k"}, {"c"});
     },
     {"var plus epsilon is", "in channel 0, must be positive"}},
    {"ClipUpsideDown",
     [](auto& m) {
       m.floats("low", {}, {1});
       m.floats("high", {}, {0});
       replace_node(m, 1, "Clip", {"c", "low", "high"}, {"y"});
     },
     {"min must not be above max"}},
    {"ClipWithAttributesInOpset13",
     [](auto& m) {
       replace_node(m, 1, "Clip", {"c"}, {"y"});
       set(*m.graph().mutable_node(1), "min", 0.0f);
     },
     {"min is an attribute, in opset 13 it is an input"}},
    {"ConstantOfInfinity",
     [](auto& m) {
       onnx::TensorProto tensor = weight(m);
       tensor.set_float_data(0, std::numeric_limits<float>::infinity());
       m.graph().clear_initializer();
       set(m.node("Constant", {}, {"w"}), "value", tensor);
     },
     {"input 'w' (weight) holds inf"}},
    {"OutputThatIsConstant",
     [](auto& m) { replace_node(m, 1, "Identity", {"w"}, {"y"}); },
     {"output 'y'", "does not depend on the input"}},
    {"DeclaredOutputDiffers",
     [](auto& m) {
       OnnxBuilder::value(*m.graph().add_output(), "y", {kN, 5, 6, 6});
     },
     {"output 'y'", "is declared as [N, 5, 6, 6], the nodes give [1, 4, 6, 6]"}},
    {"NoInputs", [](auto& m) { conv(m).clear_input(); }, {"inputs count is 0, allowed 2..3"}},
    {"EmptyInputName", [](auto& m) { conv(m).set_input(0, ""); }, {"input 0", "is missing"}},
};

class BadModels : public testing::TestWithParam<BadModel> {};

TEST_P(BadModels, AreRefusedByName) {
  OnnxBuilder model = good_model();
  GetParam().spoil(model);
  const std::string bytes = model.bytes();
  const std::string message = input_error([&] { lower(fold(parse_graph(bytes, "net.onnx"))); });
  EXPECT_THAT(message, StartsWith("net.onnx: "));
  for (const std::string& part : GetParam().message) EXPECT_THAT(message, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(Cases, BadModels, testing::ValuesIn(kBadModels),
                         [](const auto& test) { return test.param.name; });

TEST(Import, TheUnspoiledModelPasses) {
  OnnxBuilder model = good_model();
  EXPECT_EQ(expect_all_agree(model.parse()).layers.size(), 1u);
}

TEST(Import, FilesThatAreNoOnnx) {
  const auto message = [](const std::string& bytes) {
    return input_error([&] { parse_graph(bytes, "net.onnx"); });
  };
  testing::internal::CaptureStderr();
  EXPECT_THAT(message(""), HasSubstr("is empty"));
  EXPECT_THAT(message("<html>not found</html>"), HasSubstr("is not an ONNX file"));
  EXPECT_THAT(message(std::string(1000, '\xff')), HasSubstr("is not an ONNX file"));
  std::mt19937 engine(1);
  for (int i = 0; i < 200; ++i) {
    std::string garbage(static_cast<size_t>(engine() % 300 + 1), '\0');
    for (char& c : garbage) c = static_cast<char>(engine());
    EXPECT_THAT(message(garbage), HasSubstr("net.onnx: "));
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "libraries print nothing";
}

TEST(Import, MissingFileAndFolder) {
  EXPECT_THAT(input_error([] { load_graph("/nowhere/net.onnx"); }),
              AllOf(HasSubstr("/nowhere/net.onnx"), HasSubstr("cannot be read")));
  EXPECT_THAT(input_error([] { load_graph("/"); }), HasSubstr("is a folder"));
}

TEST(Import, TruncatedAtEveryLength) {
  OnnxBuilder model = good_model();
  const std::string bytes = model.bytes();
  int named = 0;
  for (size_t length = 0; length < bytes.size(); ++length) {
    const std::string message =
        input_error([&] { lower(fold(parse_graph(bytes.substr(0, length), "net.onnx"))); });
    named += message.find("is truncated") != std::string::npos;
  }
  EXPECT_GT(named, static_cast<int>(bytes.size()) / 2) << "most lengths end inside the graph";
}

// A changed byte gives a network or an InputError, never a crash or another exception.
TEST(Import, ChangedBytes) {
  OnnxBuilder model = good_model();
  set(conv(model), "pads", {1, 1, 1, 1});
  set(conv(model), "group", int64_t{1});
  model.integers("shape", {0, -1});
  *model.graph().mutable_node(1)->mutable_output(0) = "r";
  model.node("Reshape", {"r", "shape"});
  const std::string bytes = model.bytes();
  std::mt19937 engine(3);
  int refused = 0;
  constexpr int kTrials = 20000;
  for (int i = 0; i < kTrials; ++i) {
    std::string changed = bytes;
    for (auto n = 1 + engine() % 3; n > 0; --n) {
      changed[engine() % changed.size()] = static_cast<char>(engine());
    }
    try {
      lower(fold(parse_graph(changed, "net.onnx")));
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, kTrials);
}

TEST(Import, NamesAreMadeUniqueAndNodesSorted) {
  OnnxBuilder model({kN, 4});
  model.random("w", {4, 4});
  model.node("Relu", {"b"}).set_name("same");
  model.node("MatMul", {"x", "w"}, {"a"}).set_name("same");
  model.node("MatMul", {"a", "w"}, {"b"});
  const Graph graph = model.parse();
  ASSERT_EQ(graph.nodes.size(), 3u);
  EXPECT_EQ(graph.nodes[0].name, "same_1");
  EXPECT_EQ(graph.nodes[1].name, "MatMul_2");
  EXPECT_EQ(graph.nodes[2].name, "same");
  expect_all_agree(graph);
}

TEST(Import, ReadsEveryElementTypeFromRawAndTypedData) {
  struct Case {
    int type;
    std::string raw;
    std::vector<int64_t> values;
  };
  using T = onnx::TensorProto;
  const Case cases[] = {
      {T::INT8, std::string("\x80\x7f", 2), {-128, 127}},
      {T::UINT8, std::string("\x80\xff", 2), {128, 255}},
      {T::BOOL, std::string("\x00\x01", 2), {0, 1}},
      {T::INT16, std::string("\x00\x80\xff\x7f", 4), {-32768, 32767}},
      {T::UINT16, std::string("\x00\x80\xff\xff", 4), {32768, 65535}},
      {T::INT32, std::string("\xfe\xff\xff\xff\x01\x00\x00\x00", 8), {-2, 1}},
      {T::INT64, std::string("\xfe\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0", 16), {-2, 1}},
  };
  for (const Case& c : cases) {
    for (const bool raw : {true, false}) {
      OnnxBuilder model({kN, 2});
      auto& tensor = *model.graph().add_initializer();
      tensor.set_name("t");
      tensor.set_data_type(c.type);
      tensor.add_dims(2);
      if (raw) tensor.set_raw_data(c.raw);
      for (const int64_t v : c.values) {
        if (raw) break;
        if (c.type == T::INT64) {
          tensor.add_int64_data(v);
        } else {
          tensor.add_int32_data(static_cast<int32_t>(v));
        }
      }
      model.node("Relu", {"x"});
      EXPECT_EQ(model.parse().initializers.at("t").integers(), c.values) << c.type << " " << raw;
    }
  }
}

}  // namespace
}  // namespace widthwise
