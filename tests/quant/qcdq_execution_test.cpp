// The QCDQ file of a shipped network, run as ONNX defines its operators, gives the simulator's
// codes with the float32 requantizer.
//
// The one difference allowed: the file adds float products and divides by the ofmap's scale, the
// simulator adds integers exactly and multiplies by the ratio of the scales. Both round to float32
// at different places, a relative error of about 2^-23, so a value that lies that close to a tie
// may fall to the other side: one code, in about 2^-23 * 255 = 3e-5 of the outputs. Every
// difference is counted and the layer after it goes on from the simulator's code, so that nothing
// hides behind an earlier difference.
#include <gtest/gtest.h>

#include <random>

#include "core/files.h"
#include "models/model.h"
#include "quant/calibrate.h"
#include "quant/onnx_writer.h"
#include "quant/quantize.h"
#include "sim/simulator.h"
#include "tests/quant/onnx_interpreter.h"

namespace widthwise {
namespace {

using testing_support::OnnxInterpreter;
constexpr int64_t kImages = 3;
constexpr double kMostNearTies = 2e-5;  // of the codes; wrong arithmetic changes far more

struct Case {
  std::string name, network;
  QuantizationConfig config;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string network : {"plain_cnn", "resnet8", "shufflenetv2"}) {
    for (const int bits : {8, 4}) {
      QuantizationConfig config;
      config.ifmap.bits = config.weight.bits = bits;
      all.push_back({network + "_int" + std::to_string(bits), network, config});
    }
  }
  QuantizationConfig asymmetric;
  asymmetric.weight = {5, false};
  asymmetric.weights = Symmetry::kAsymmetric;
  asymmetric.ifmap = {6, true};
  asymmetric.per_channel = false;
  all.push_back({"resnet8_asymmetric_weights_signed_ifmap", "resnet8", asymmetric});
  QuantizationConfig shifts;
  shifts.power_of_two_scales = true;  // average pooling with weights of its own
  all.push_back({"resnet8_power_of_two", "resnet8", shifts});
  return all;
}

// Bright blobs on black: as sparse as the pictures that the networks were trained on.
std::vector<float> made_images() {
  std::mt19937 random(5);
  std::vector<float> values(kImages * 784, 0);
  for (int64_t i = 0; i < kImages; ++i) {
    for (int blob = 0; blob < 6; ++blob) {
      const auto top = random() % 20, left = random() % 20, size = 4 + random() % 8;
      for (size_t p = 0; p < 784; ++p) {
        const size_t row = p / 28, col = p % 28;
        if (row < top || row >= top + size || col < left || col >= left + size) continue;
        values[static_cast<size_t>(i) * 784 + p] = static_cast<float>(random() % 256) / 255;
      }
    }
  }
  return values;
}

class QcdqExecution : public testing::TestWithParam<Case> {};

TEST_P(QcdqExecution, GivesTheSimulatorsCodes) {
  const Model model =
      load_network(share_folder() / "models" / "zoo" / (GetParam().network + ".onnx"));
  const std::vector<float> images = made_images();
  const ImageSource source = [&](int64_t first, int64_t count, std::span<float> to) {
    std::copy_n(images.begin() + first * 784, count * 784, to.begin());
  };
  const QuantizedNetwork network =
      quantize(model.network, calibrate(model.network, source, kImages, Progress::none()),
               GetParam().config);

  Datapath datapath;
  datapath.ifmap = GetParam().config.ifmap;
  datapath.weight = {9, true};
  datapath.requantize.kind = RequantizeConfig::Kind::kFloat32;
  const Simulator simulator(network, datapath);  // 32 bits: nothing overflows here
  std::vector<int32_t> input;
  const TensorQuantization& q = network.tensor(network.input).quantization;
  for (const float value : images) input.push_back(quantize_value(value, q));
  Simulator::State state = simulator.make_state();
  simulator.run(input, kImages, state);

  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(write_qcdq(model.graph, network)));
  OnnxInterpreter interpreter(proto);
  std::map<std::string, size_t> tensors;  // by the name of the value that DequantizeLinear reads
  for (size_t t = 0; t < network.tensors.size(); ++t) {
    const bool is_input = static_cast<int>(t) == network.input;
    const IntegerFormat format = network.tensors[t].quantization.format;
    tensors[network.tensors[t].name + (is_input ? "_quantized" : "") + "_codes" +
            (format.bits < 8 ? "_clipped" : "")] = t;
  }
  int64_t image = 0, compared = 0, near_ties = 0;
  std::map<size_t, int64_t> seen;
  interpreter.observe = [&](const std::string& name, OnnxInterpreter::Value& value) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return;
    const int64_t elements = network.tensors[found->second].elements();
    ASSERT_EQ(std::ssize(value.v), elements) << name;
    ++seen[found->second];
    const std::vector<int32_t> codes = state.tensors[found->second].codes();
    for (int64_t i = 0; i < elements; ++i) {
      const int32_t wanted = codes[static_cast<size_t>(image * elements + i)];
      double& code = value.v[static_cast<size_t>(i)];
      ASSERT_LE(std::abs(code - wanted), 1) << name << ", element " << i;
      near_ties += code != wanted;
      ++compared;
      code = wanted;
    }
  };
  for (; image < kImages; ++image) {
    OnnxInterpreter::Value x;
    x.shape = {1, 1, 28, 28};
    x.v.assign(images.begin() + image * 784, images.begin() + (image + 1) * 784);
    interpreter.run(x);
    ASSERT_FALSE(HasFatalFailure());
  }
  EXPECT_EQ(seen.size(), network.tensors.size()) << "a tensor is not in the file";
  EXPECT_LE(static_cast<double>(near_ties), kMostNearTies * static_cast<double>(compared));
  RecordProperty("codes_compared", std::to_string(compared));
  RecordProperty("one_code_differences", std::to_string(near_ties));
  std::cout << GetParam().name << ": " << compared << " codes compared, " << near_ties
            << " differ by one at a tie\n";
}
INSTANTIATE_TEST_SUITE_P(Zoo, QcdqExecution, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace widthwise
