// The shipped networks: counts by hand, folding against not folding, oneDNN against scalar layers.
#include <filesystem>

#include "core/files.h"
#include "models/model.h"
#include "models/onnx_import.h"
#include "models/preprocessing.h"
#include "tests/models/compare.h"

namespace widthwise {
namespace {

std::filesystem::path zoo(const std::string& name) {
  return share_folder() / "models" / "zoo" / name;
}

struct NetworkCase {
  const char* name;
  int64_t macs, parameters;  // by hand; batch normalization folded, biases included
  size_t matmuls;            // without average pooling
};
void PrintTo(const NetworkCase& c, std::ostream* out) { *out << c.name; }

// Multiply-accumulates of a k x k convolution from i to o channels with p ofmap pixels.
constexpr int64_t conv(int64_t i, int64_t o, int64_t k, int64_t p) { return i * o * k * k * p; }
// A shuffle unit's right branch of b channels in each half: 1x1, depthwise 3x3, 1x1.
constexpr int64_t unit(int64_t b, int64_t p) {
  return conv(b, b, 1, p) + conv(1, b, 3, p) + conv(b, b, 1, p);
}
// One of stride 2 from c channels to b in each half: p pixels before, q after; and the left branch.
constexpr int64_t down(int64_t c, int64_t b, int64_t p, int64_t q) {
  return conv(c, b, 1, p) + conv(1, b, 3, q) + conv(b, b, 1, q) + conv(1, c, 3, q) +
         conv(c, b, 1, q);
}

constexpr NetworkCase kNetworks[] = {
    {"plain_cnn",
     conv(1, 16, 3, 784) + conv(16, 32, 3, 196) + conv(32, 32, 3, 49) + 1568 * 64 + 64 * 10,
     (9 * 16 + 16) + (9 * 16 * 32 + 32) + (9 * 32 * 32 + 32) + (1568 * 64 + 64) + (64 * 10 + 10),
     5},
    {"resnet8",
     conv(1, 16, 3, 784) + 2 * conv(16, 16, 3, 784) + conv(16, 32, 3, 196) + conv(32, 32, 3, 196) +
         conv(16, 32, 1, 196) + conv(32, 64, 3, 49) + conv(64, 64, 3, 49) + conv(32, 64, 1, 49) +
         64 * 10,
     (9 * 16 + 16) + 2 * (9 * 256 + 16) + (9 * 512 + 32) + (9 * 1024 + 32) + (512 + 32) +
         (9 * 2048 + 64) + (9 * 4096 + 64) + (2048 + 64) + (640 + 10),
     10},
    {"shufflenetv2",
     conv(1, 24, 3, 784) + down(24, 24, 784, 196) + 2 * unit(24, 196) + down(48, 48, 196, 49) +
         3 * unit(48, 49) + conv(96, 128, 1, 49) + 128 * 10,
     (9 * 24 + 24) +                                 // stem
         (3 * (24 * 24 + 24) + 2 * (9 * 24 + 24)) +  // down to 24
         2 * (2 * (24 * 24 + 24) + (9 * 24 + 24)) +  // two units
         (3 * (48 * 48 + 48) + 2 * (9 * 48 + 48)) +  // down to 48
         3 * (2 * (48 * 48 + 48) + (9 * 48 + 48)) + (96 * 128 + 128) + (1280 + 10),
     28},
};

class Zoo : public testing::TestWithParam<NetworkCase> {
 protected:
  std::filesystem::path path_ = zoo(std::string(GetParam().name) + ".onnx");
};

TEST_P(Zoo, CountsByHand) {
  const Model model = load_network(path_);
  EXPECT_EQ(model.network.name, GetParam().name);
  EXPECT_EQ(network_macs(model.network), GetParam().macs);
  EXPECT_EQ(network_parameters(model.network), GetParam().parameters);
  size_t matmuls = 0;
  for (const FloatLayer& layer : model.network.layers) {
    const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload);
    matmuls += matmul != nullptr && !matmul->unit_weights;
    EXPECT_NE(layer.operator_type, "BatchNormalization") << "all can be folded";
    EXPECT_NE(layer.operator_type, "Relu") << "all can be fused";
  }
  EXPECT_EQ(matmuls, GetParam().matmuls);
  EXPECT_EQ(model.network.tensor(model.network.input).shape, (Shape{1, 28, 28}));
  EXPECT_EQ(model.network.tensor(model.network.output).shape, Shape{10});
}

TEST_P(Zoo, FoldedScalarAndOneDnnAgreeOnEveryTensor) { expect_all_agree(load_graph(path_)); }

TEST_P(Zoo, PreprocessingBesideItIsPixelOver255) {
  const Preprocessing p = load_preprocessing(preprocessing_path(path_));
  EXPECT_EQ(p.data, "fashion-mnist");
  EXPECT_EQ(p.classes.size(), 10u);
  ImageSet images{"made", 1, 1, 16, 16, std::vector<uint8_t>(256), {0}};
  for (size_t i = 0; i < 256; ++i) images.pixels[i] = static_cast<uint8_t>(i);
  std::vector<float> values(256);
  preprocess(images, p, 0, 1, values);
  for (size_t i = 0; i < 256; ++i) {
    EXPECT_FLOAT_EQ(values[i], static_cast<float>(i) / 255.0f);
  }
}

// Runs where Debian's dataset-fashion-mnist is installed. The networks were trained to more than
// 90 %; guessing gives 10 %.
TEST_P(Zoo, ClassifiesFashionMnist) {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const Model model = load_network(path_);
  const ImageSet images = load_idx_set(folder, "t10k");
  const Preprocessing preprocessing = load_preprocessing(preprocessing_path(path_));
  check_images(images, preprocessing, model.network);
  constexpr int kBatch = 16, kImages = 1600;
  FloatExecutor executor(model.network, kBatch);
  std::vector<float> values(kBatch * 784);
  int correct = 0;
  for (int first = 0; first < kImages; first += kBatch) {
    preprocess(images, preprocessing, first, kBatch, values);
    const auto logits = executor.run(values, kBatch);
    for (int i = 0; i < kBatch; ++i) {
      const auto row = logits.subspan(static_cast<size_t>(i * 10), 10);
      const auto best = std::max_element(row.begin(), row.end()) - row.begin();
      correct += best == images.labels[static_cast<size_t>(first + i)];
    }
  }
  EXPECT_GT(100.0 * correct / kImages, 88.0);
}

INSTANTIATE_TEST_SUITE_P(Networks, Zoo, testing::ValuesIn(kNetworks),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace widthwise
