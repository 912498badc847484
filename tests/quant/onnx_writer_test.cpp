#include "quant/onnx_writer.h"

#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include <set>

#include "core/error.h"
#include "core/files.h"
#include "models/model.h"
#include "quant/quantize.h"

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

TEST(Qcdq, RefusesOldOpsets) {
  Model model = zoo("plain_cnn");
  const QuantizedNetwork network = quantized(model, 8);
  model.graph.opset = 12;
  EXPECT_THROW(write_qcdq(model.graph, network), InputError);
}

}  // namespace
}  // namespace widthwise
