// Quantized networks in float give the simulator's codes but for near ties.
#include "quant/fake_quantized.h"

#include <algorithm>
#include <random>

#include "core/files.h"
#include "sim/simulator.h"
#include "tests/quant/quant_support.h"
#include "tests/quant/random_network.h"

namespace widthwise {
namespace {

using namespace testing_support;

// Codes of every tensor by the executor, each checked to be whole, against the simulator's. A
// difference passes on to later layers, so that few codes more than near ties differ.
double share_of_differences(const QuantizedNetwork& network, const std::vector<float>& images,
                            int count) {
  Datapath datapath;
  datapath.ifmap = {8, true};
  if (!network.tensor(network.input).quantization.format.is_signed)
    datapath.ifmap.is_signed = false;
  datapath.weight = {9, true};
  datapath.requantize.kind = RequantizeConfig::Kind::kFloat32;
  const Simulator simulator(network, datapath);
  std::vector<int32_t> input;
  for (const float value : images)
    input.push_back(quantize_value(value, network.tensor(network.input).quantization));
  Simulator::State state = simulator.make_state();
  simulator.run(input, count, state);

  const FakeQuantizedNetwork fake = fake_quantized(network);
  FloatExecutor executor(fake.network, count, fake.tensors);
  int64_t codes = 0, differ = 0;
  executor.run(images, count, [&](int tensor, std::span<const float> values) {
    const std::vector<int32_t> wanted = state.tensors[static_cast<size_t>(tensor)].codes();
    const TensorQuantization& q = network.tensor(tensor).quantization;
    ASSERT_EQ(wanted.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const float steps = values[i] / q.scale;
      ASSERT_NEAR(steps, std::nearbyint(steps), 1e-3);
      differ += static_cast<int32_t>(std::nearbyint(steps)) + q.zero_point != wanted[i];
    }
    codes += std::ssize(wanted);
  });
  return static_cast<double>(differ) / static_cast<double>(codes);
}

TEST(FakeQuantized, GivesTheSimulatorsCodes) {
  for (const char* name : {"plain_cnn", "resnet8", "shufflenetv2"}) {
    const Model model =
        load_network(share_folder() / "models" / "zoo" / (std::string(name) + ".onnx"));
    std::mt19937 random(3);
    constexpr int kImages = 4;
    std::vector<float> images(kImages * 784);
    for (float& v : images) v = static_cast<float>(random() % 256) / 255;
    const ImageSource source = [&](int64_t first, int64_t count, std::span<float> to) {
      std::copy_n(images.begin() + first * 784, count * 784, to.begin());
    };
    QuantizationConfig config;
    config.ifmap.bits = 5;
    config.weight = {4, false};
    config.weights = Symmetry::kAsymmetric;
    const auto statistics = calibrate(model.network, source, kImages, Progress::none());
    EXPECT_LT(share_of_differences(quantize(model.network, statistics, config), images, kImages),
              2e-4)
        << name;
  }
}

TEST(FakeQuantized, RoundsAndLimits) {
  FloatBuilder b({1, 1, 1});
  b.conv("only", 0, {1}, {});
  FloatExecutor executor(b.network, 4, {{}, {0.5F, -2, 3}});
  const std::vector<float> images = {-9, 0.74F, 0.75F, 9};
  const auto values = executor.run(images, 4);
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()),
            (std::vector<float>{-1, 0.5F, 1, 1.5F}));  // 1.5 steps: to the even 2
}

}  // namespace
}  // namespace widthwise
