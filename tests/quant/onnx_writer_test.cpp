#include "quant/onnx_writer.h"

#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <functional>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "models/fold.h"
#include "models/fuse.h"
#include "models/lowering.h"
#include "models/model.h"
#include "quant/quantize.h"
#include "quant/quantized_import.h"
#include "tests/models/onnx_builder.h"
#include "tests/quant/quant_support.h"

namespace widthwise {
namespace {

Model zoo(const std::string& name) {
  return load_network(share_folder() / "models" / "zoo" / (name + ".onnx"));
}

QuantizedNetwork quantized(const Model& model, int bits) {
  Statistics statistics;
  for (const FloatTensor& tensor : model.network.tensors)
    statistics[tensor.name] = {-1.0F, 4.0F, 1};
  QuantizationConfig config;
  config.ifmap.bits = config.weight.bits = bits;
  return quantize(model.network, statistics, config);
}

class Qcdq : public testing::TestWithParam<std::tuple<const char*, int>> {};
TEST_P(Qcdq, IsAValidModelWithTheNetworksCodes) {
  const auto& [name, bits] = GetParam();
  const Model model = zoo(name);
  const QuantizedNetwork network = quantized(model, bits);
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(write_qcdq(model.graph, network)));
  ASSERT_NO_THROW(onnx::checker::check_model(proto));
  ASSERT_NO_THROW(onnx::shape_inference::InferShapes(proto));

  std::map<std::string, const onnx::TensorProto*> initializers;
  for (const auto& tensor : proto.graph().initializer()) initializers[tensor.name()] = &tensor;
  std::map<std::string, int> count;
  for (const auto& node : proto.graph().node()) ++count[node.op_type()];
  int64_t matmuls = 0;
  for (const QuantizedLayer& layer : network.layers) {
    const auto* workload = std::get_if<MatmulWorkload>(&layer.workload);
    if (workload == nullptr || workload->unit_weights) continue;
    ++matmuls;
    const auto* codes = initializers.at(layer.name + "_weight_codes");
    EXPECT_EQ(std::vector<int32_t>(codes->int32_data().begin(), codes->int32_data().end()),
              layer.weights);
    const auto* bias = initializers.at(layer.name + "_bias_codes");
    EXPECT_EQ(std::vector<int32_t>(bias->int32_data().begin(), bias->int32_data().end()),
              layer.bias);
  }
  EXPECT_EQ(count["Conv"] + count["Gemm"], matmuls);
  EXPECT_EQ(count["QuantizeLinear"], static_cast<int>(network.tensors.size()));
  EXPECT_EQ(count["BatchNormalization"], 0);
  // Fewer than 8 bits are stated by a Clip on every tensor but the 8-bit output, and on every
  // weight.
  if (bits < 8) {
    EXPECT_EQ(count["Clip"], static_cast<int>(network.tensors.size()) - 1 + matmuls);
  }
}
INSTANTIATE_TEST_SUITE_P(Zoo, Qcdq,
                         testing::Combine(testing::Values("plain_cnn", "resnet8", "shufflenetv2"),
                                          testing::Values(4, 8)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)) + "_int" +
                                  std::to_string(std::get<1>(test.param));
                         });

// y = what `nodes` make of c, a 1x1 convolution of x [N, 1, 2, 2]; every tensor's range is [0, 6].
struct Limited {
  explicit Limited(const std::function<void(OnnxBuilder&)>& nodes) {
    OnnxBuilder builder({GraphValue::kSymbolic, 1, 2, 2});
    builder.floats("w", {1, 1, 1, 1}, {1});
    builder.node("Conv", {"x", "w"}, {"c"});
    nodes(builder);
    model.graph = fold(builder.parse());
    model.network = lower(model.graph);
    Statistics statistics;
    for (const FloatTensor& tensor : model.network.tensors) statistics[tensor.name] = {0, 6, 1};
    network = quantize(model.network, statistics, {});
  }
  Model model;
  QuantizedNetwork network;

  onnx::ModelProto written() const {
    onnx::ModelProto proto;
    EXPECT_TRUE(proto.ParseFromString(write_qcdq(model.graph, network)));
    return proto;
  }
  int count(const std::string& op) const {
    const auto proto = written();
    return static_cast<int>(
        std::count_if(proto.graph().node().begin(), proto.graph().node().end(),
                      [&](const onnx::NodeProto& node) { return node.op_type() == op; }));
  }
  QuantizedNetwork imported() const {
    return import_quantized(
        fuse(parse_graph(write_qcdq(model.graph, network), "net.onnx"), FuseFor::kDatapath));
  }
};

void clip(OnnxBuilder& builder, const std::string& from, float low, float high,
          const std::string& to) {
  builder.floats(to + "_low", {}, {low});
  builder.floats(to + "_high", {}, {high});
  builder.node("Clip", {from, to + "_low", to + "_high"}, {to});
}

TEST(Qcdq, HasNoClipThatTheCodesDoNotNeed) {
  const Limited relu6([](OnnxBuilder& builder) { clip(builder, "c", 0, 5.999F, "y"); });
  EXPECT_EQ(relu6.count("Clip"), 0);  // 5.999 and 6 are one code
  const Limited half([](OnnxBuilder& builder) { clip(builder, "c", 0, 3, "y"); });
  EXPECT_EQ(half.count("Clip"), 1);
  const Limited two([](OnnxBuilder& builder) {
    builder.node("Relu", {"c"}, {"r"});
    builder.node("Relu", {"r"}, {"y"});
  });
  EXPECT_EQ(two.count("Relu"), 1);
}

TEST(Qcdq, OfLimitsThatExcludeEachOtherTheLaterOneDecides) {
  const Limited limited([](OnnxBuilder& builder) {
    clip(builder, "c", 0, 1.2F, "r");
    clip(builder, "r", 3, 6, "y");
  });
  for (const QuantizedNetwork& network : {limited.network, limited.imported()}) {
    EXPECT_EQ(network.layers.at(0).q_min, 128);  // 3 of 6
    EXPECT_EQ(network.layers.at(0).q_max, 128);
  }
}

TEST(Qcdq, KeepsTheBatchOpen) {
  const Limited reshaped([](OnnxBuilder& builder) {
    builder.integers("shape", {1, -1});
    builder.node("Reshape", {"c", "shape"}, {"y"});
  });
  const auto proto = reshaped.written();
  int shapes = 0;
  for (const auto& tensor : proto.graph().initializer()) {
    if (tensor.name() != "y_shape") continue;
    ++shapes;
    EXPECT_EQ(std::vector<int64_t>(tensor.int64_data().begin(), tensor.int64_data().end()),
              (std::vector<int64_t>{0, 4}));
  }
  EXPECT_EQ(shapes, 1);
  EXPECT_EQ(proto.graph().output(0).type().tensor_type().shape().dim(0).dim_param(), "N");
}

TEST(Qcdq, RefusesNamesThatItAdds) {
  const Limited taken([](OnnxBuilder& builder) {
    builder.node("Relu", {"c"}, {"x_quantized"});
    builder.node("MaxPool", {"x_quantized"}, {"y"});
    set(*builder.graph().mutable_node(2), "kernel_shape", std::vector<int64_t>{1, 1});
  });
  EXPECT_THAT(testing_support::input_error([&] { taken.written(); }),
              testing::HasSubstr("name is also the name of a value that a quantized file adds"));
}

TEST(Qcdq, RefusesOldOpsets) {
  Model model = zoo("plain_cnn");
  const QuantizedNetwork network = quantized(model, 8);
  model.graph.opset = 12;
  EXPECT_THROW(write_qcdq(model.graph, network), InputError);
}

}  // namespace
}  // namespace widthwise
