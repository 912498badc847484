// Moments of a layer's products against plain loops, and what whole networks gain.
#include "quant/quantize_calibrated.h"

#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/files.h"
#include "models/fuse.h"
#include "models/model.h"
#include "models/onnx_import.h"
#include "quant/layer_moments.h"
#include "quant/onnx_writer.h"
#include "quant/quantized_import.h"
#include "tests/quant/quant_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

// A convolution of groups with a padded, strided and dilated window, read by element.
TEST(LayerMoments, AreThoseOfThePlainLoop) {
  MatmulWorkload m;
  m.groups = 2;
  m.window = {.ifmap_channels = 4,
              .ifmap_rows = 6,
              .ifmap_cols = 5,
              .ofmap_channels = 6,
              .ofmap_rows = 3,
              .ofmap_cols = 4,
              .kernel_rows = 3,
              .kernel_cols = 2,
              .stride_rows = 2,
              .stride_cols = 1,
              .dilation_rows = 1,
              .dilation_cols = 2,
              .pad_top = 1,
              .pad_left = 1,
              .pad_bottom = 1,
              .pad_right = 0};
  constexpr int64_t kImages = 150;  // more than one round
  std::mt19937 random(2);
  std::vector<float> images(kImages * 120);
  for (float& v : images) v = static_cast<float>(random() % 100) / 50;
  const ImageSource source = [&](int64_t first, int64_t n, std::span<float> to) {
    std::copy_n(images.begin() + first * 120, n * 120, to.begin());
  };
  FloatNetwork network;
  network.tensors = {{"x", {4, 6, 5}}};
  network.input = network.output = 0;
  const FakeQuantizedNetwork fake{network, {{0.25F, 0, 6}}};
  const LayerMoments found = layer_moments(m, {network, fake, source, source}, kImages, true);

  const int64_t length = 2 * 3 * 2, pixels = 12;
  EXPECT_EQ(found.length, length);
  EXPECT_EQ(found.samples, kImages * pixels);
  for (int64_t group = 0; group < 2; ++group) {
    std::vector<std::vector<double>> x, y;
    for (int64_t image = 0; image < kImages; ++image) {
      for (int64_t p = 0; p < pixels; ++p) {
        std::vector<double> row, rounded;
        for (int64_t c = 0; c < 2; ++c) {
          for (int64_t i = 0; i < 3; ++i) {
            for (int64_t j = 0; j < 2; ++j) {
              const int64_t yy = p / 4 * 2 - 1 + i, xx = p % 4 - 1 + 2 * j;
              const bool inside = yy >= 0 && yy < 6 && xx >= 0 && xx < 5;
              const float v = inside ? images[static_cast<size_t>(
                                           image * 120 + ((group * 2 + c) * 6 + yy) * 5 + xx)]
                                     : 0;
              row.push_back(static_cast<double>(v));
              rounded.push_back(0.25 * std::clamp(std::nearbyint(v / 0.25), 0.0, 6.0));
            }
          }
        }
        x.push_back(row);
        y.push_back(rounded);
      }
    }
    const auto n = static_cast<double>(x.size());
    std::vector<double> x_mean(12, 0), y_mean(12, 0);
    for (size_t s = 0; s < x.size(); ++s) {
      for (size_t i = 0; i < 12; ++i) {
        x_mean[i] += x[s][i] / n;
        y_mean[i] += y[s][i] / n;
      }
    }
    for (size_t i = 0; i < 12; ++i) {
      const size_t at = static_cast<size_t>(group) * 12 + i;
      EXPECT_NEAR(found.real_mean[at], x_mean[i], 1e-5);
      EXPECT_NEAR(found.mean[at], y_mean[i], 1e-5);
      for (size_t j = 0; j < 12; ++j) {
        double own = 0, cross = 0;
        for (size_t s = 0; s < x.size(); ++s) {
          own += (y[s][i] - y_mean[i]) * (y[s][j] - y_mean[j]) / n;
          cross += (x[s][i] - x_mean[i]) * (y[s][j] - y_mean[j]) / n;
        }
        EXPECT_NEAR(found.covariance[at * 12 + j], own, 1e-4);
        EXPECT_NEAR(found.cross_covariance[at * 12 + j], cross, 1e-4);
      }
    }
  }
}

class Shipped : public testing::TestWithParam<const char*> {
 protected:
  Shipped()
      : model_(
            load_network(share_folder() / "models" / "zoo" / (std::string(GetParam()) + ".onnx"))),
        images_(kImages * 784) {
    std::mt19937 random(5);
    for (int64_t i = 0; i < kImages; ++i) {  // bright blobs on black
      for (int blob = 0; blob < 6; ++blob) {
        const auto top = random() % 20, left = random() % 20, size = 4 + random() % 8;
        for (size_t p = 0; p < 784; ++p) {
          const size_t row = p / 28, col = p % 28;
          if (row < top || row >= top + size || col < left || col >= left + size) continue;
          images_[static_cast<size_t>(i) * 784 + p] = static_cast<float>(random() % 256) / 255;
        }
      }
    }
  }
  QuantizedNetwork run(const QuantizationConfig& config) const {
    const ImageSource source = [this](int64_t first, int64_t n, std::span<float> to) {
      std::copy_n(images_.begin() + first * 784, n * 784, to.begin());
    };
    return quantize_calibrated(model_.network, source, kImages, config, Progress::none());
  }
  // Mean squared difference of the logits from the float network's.
  double error(const QuantizedNetwork& network) const {
    const FakeQuantizedNetwork fake = fake_quantized(network);
    FloatExecutor real(model_.network, kImages), rounded(fake.network, kImages, fake.tensors);
    const auto wanted = real.run(images_, kImages), found = rounded.run(images_, kImages);
    double sum = 0;
    for (size_t i = 0; i < wanted.size(); ++i)
      sum += std::pow(static_cast<double>(wanted[i] - found[i]), 2);
    return sum / static_cast<double>(wanted.size());
  }
  static constexpr int kImages = 40;
  Model model_;
  std::vector<float> images_;
};

TEST_P(Shipped, EveryStepLessensTheError) {
  QuantizationConfig config;
  config.ifmap.bits = config.weight.bits = 4;
  config.elementwise_bits = config.first_last_bits = 8;
  const double plain = error(run(config));
  config.bias_correction = true;
  const double corrected = error(run(config));
  EXPECT_LT(corrected, plain);
  const double best = error(run(calibrated_config({4, false}, {4, true})));
  EXPECT_LT(best, 0.7 * corrected);
}

TEST_P(Shipped, OneAndTwoThreadsGiveTheSame) {
  QuantizationConfig config = calibrated_config({4, false}, {4, true});
  config.equalization = true;
  std::vector<QuantizedNetwork> found;
  for (const size_t threads : {1, 2}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    found.push_back(run(config));
  }
  for (size_t i = 0; i < found[0].layers.size(); ++i) {
    EXPECT_EQ(found[0].layers[i].weights, found[1].layers[i].weights);
    EXPECT_EQ(found[0].layers[i].bias, found[1].layers[i].bias);
  }
}

// Rescaling layers included.
TEST_P(Shipped, IsWrittenAndReadBack) {
  const QuantizedNetwork network = run(calibrated_config({4, false}, {4, true}));
  for (const QuantizedFile kind : {QuantizedFile::kQcdq, QuantizedFile::kQonnx}) {
    const std::string bytes = write_quantized(model_.graph, network, kind);
    const QuantizedNetwork back =
        import_quantized(fuse(parse_graph(bytes, "written.onnx"), FuseFor::kDatapath));
    ASSERT_EQ(back.layers.size(), network.layers.size());
    for (size_t i = 0; i < network.layers.size(); ++i) {
      const QuantizedLayer &wanted = network.layers[i], &found = back.layers[i];
      EXPECT_EQ(found.name, wanted.name);
      EXPECT_EQ(found.weights, wanted.weights);
      EXPECT_EQ(found.bias, wanted.bias);
      EXPECT_EQ(back.tensor(found.ofmap).quantization, network.tensor(wanted.ofmap).quantization);
      EXPECT_EQ(back.tensor(found.ifmaps[0]).quantization,
                network.tensor(wanted.ifmaps[0]).quantization);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Shipped, testing::Values("plain_cnn", "resnet8", "shufflenetv2"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Rescaling, ASumKeepsItsBitsAndItsReaderGetsFewer) {
  FloatBuilder b({1, 2, 2});
  const int first = b.conv("first", 0, {1}, {});
  const int sum = b.sum("sum", first, b.conv("branch", first, {1}, {}));
  const int last = b.conv("after", sum, {1}, {});
  b.conv("end", b.sum("again", sum, last), {1}, {});
  QuantizationConfig config;
  config.ifmap.bits = config.weight.bits = 4;
  config.elementwise_bits = config.first_last_bits = 8;
  const QuantizedNetwork q = quantize(b.network, some_statistics(b.network), config);
  std::vector<std::string> names;
  for (const QuantizedLayer& layer : q.layers) names.push_back(layer.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"first", "first_out_4_bits_QuantizeLinear", "branch", "sum",
                                      "sum_out_4_bits_QuantizeLinear", "after", "again", "end"}));
  EXPECT_EQ(q.tensor(q.input).quantization.format.bits, 8);
  EXPECT_EQ(q.tensor(sum).quantization.format.bits, 8);
  EXPECT_EQ(q.tensor(q.layers[2].ifmaps[0]).quantization.format.bits, 4);
  EXPECT_EQ(q.layers[0].weight_format.bits, 8);
  EXPECT_EQ(q.layers[2].weight_format.bits, 4);
  EXPECT_EQ(q.layers[7].weight_format.bits, 8);
}

}  // namespace
}  // namespace widthwise
