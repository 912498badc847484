// Moments of a layer's products against plain loops, and what whole networks gain.
#include "quant/quantize_calibrated.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

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
#include "quant/trunk.h"
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

// A source that waits for work of its own, as folders of images do, while other batches run.
ImageSource nested(const ImageSource& flat, int64_t elements) {
  return [=](int64_t first, int64_t n, std::span<float> to) {
    tbb::parallel_for(int64_t{0}, n, [&](int64_t i) {
      flat(first + i, 1,
           to.subspan(static_cast<size_t>(i * elements), static_cast<size_t>(elements)));
    });
  };
}

// Values of 1000 to 1001: their squares leave nothing of the spread in float32.
TEST(LayerMoments, ASmallSpreadAboutAGreatMeanIsKept) {
  MatmulWorkload m;
  m.window = {.ifmap_channels = 2,
              .ifmap_rows = 20,
              .ifmap_cols = 20,
              .ofmap_channels = 1,
              .ofmap_rows = 20,
              .ofmap_cols = 20};  // more pixels than are taken of an image
  FloatNetwork network;
  network.tensors = {{"x", {2, 20, 20}}};
  network.input = network.output = 0;
  const FakeQuantizedNetwork fake{network, {{}}};
  constexpr int64_t kImages = 160;
  std::vector<float> images(kImages * 800);
  std::mt19937 random(3);
  for (float& v : images) v = 1000 + static_cast<float>(random() % 256) / 256;
  const ImageSource source = [&](int64_t first, int64_t n, std::span<float> to) {
    std::copy_n(images.begin() + first * 800, n * 800, to.begin());
  };
  const LayerMoments found = layer_moments(m, {network, fake, source, source}, kImages, true);
  EXPECT_EQ(found.samples, kImages * 256);
  EXPECT_NEAR(found.mean[0], 1000.498, 0.01);
  for (const size_t i : {0, 3}) {
    EXPECT_NEAR(found.covariance[i], 1.0 / 12, 2e-3);
    EXPECT_NEAR(found.cross_covariance[i], 1.0 / 12, 2e-3);
  }
  EXPECT_NEAR(found.covariance[1], 0, 2e-3);
}

TEST(QuantizeCalibrated, NearlyConstantInputsAreRoundedAsOthersAre) {
  FloatBuilder b({3, 4, 4});
  b.conv("end", b.conv("first", 0, {1, -0.5F, 0.25F, 0.3F, 0.2F, -0.6F}, {0.1F, 0}, 0), {1, -1},
         {0.2F});
  std::mt19937 random(4);
  for (const float spread : {0.0F, 3e-4F, 1.0F}) {
    std::vector<float> images(64 * 48);
    for (float& v : images) v = 100 + spread * static_cast<float>(random() % 1000) / 1000;
    const ImageSource source = [&](int64_t first, int64_t n, std::span<float> to) {
      std::copy_n(images.begin() + first * 48, n * 48, to.begin());
    };
    QuantizationConfig config = calibrated_config({8, false}, {8, true});
    const QuantizedNetwork q = quantize_calibrated(b.network, source, 64, config, Progress::none());
    const FakeQuantizedNetwork fake = fake_quantized(q);
    FloatExecutor real(b.network, 64), rounded(fake.network, 64, fake.tensors);
    const auto wanted = real.run(images, 64), found = rounded.run(images, 64);
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 0.6) << spread;
  }
}

TEST(QuantizeCalibrated, EqualizationNeedsNeighbours) {
  FloatBuilder b({1, 2, 2});
  b.conv("second", b.conv("first", 0, {1}, {}, 0, 6), {1}, {});
  QuantizationConfig config;
  config.equalization = true;
  const ImageSource source = [](int64_t, int64_t, std::span<float> to) {
    std::fill(to.begin(), to.end(), 1.0F);
  };
  EXPECT_THAT(
      input_error([&] { quantize_calibrated(b.network, source, 4, config, Progress::none()); }),
      testing::HasSubstr("equalization finds no two layers"));
}

TEST(QuantizeCalibrated, FewerImagesOfGreatTensors) {
  FloatBuilder small({3, 4, 4}), large({16, 1024, 1024}), huge({64, 2048, 2048});
  EXPECT_EQ(refined_images(small.network, 500), 500);
  EXPECT_EQ(refined_images(small.network, 5000), 1024);
  EXPECT_EQ(refined_images(large.network, 5000), 32);
  large.network.tensors[0].shape = {16, 256, 256};
  EXPECT_EQ(refined_images(large.network, 5000), 64);
  EXPECT_EQ(refined_images(huge.network, 5), 5);
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
  ImageSource source() const {
    return [this](int64_t first, int64_t n, std::span<float> to) {
      std::copy_n(images_.begin() + first * 784, n * 784, to.begin());
    };
  }
  QuantizedNetwork run(const QuantizationConfig& config) const {
    return quantize_calibrated(model_.network, source(), kImages, config, Progress::none());
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

TEST_P(Shipped, ManyThreadsAndNestedSourcesGiveTheSame) {
  QuantizationConfig config = calibrated_config({4, false}, {4, true});
  const QuantizedNetwork wanted = run(config);
  const tbb::global_control allow(tbb::global_control::max_allowed_parallelism, 8);
  tbb::task_arena arena(8);
  const QuantizedNetwork found = arena.execute([&] {
    return quantize_calibrated(model_.network, nested(source(), 784), kImages, config,
                               Progress::none());
  });
  for (size_t i = 0; i < wanted.layers.size(); ++i) {
    EXPECT_EQ(found.layers[i].weights, wanted.layers[i].weights);
    EXPECT_EQ(found.layers[i].bias, wanted.layers[i].bias);
  }
}

// What each layer reads by way of the trunk is what a run from the images gives.
TEST_P(Shipped, TheTrunkLeadsToEveryLayer) {
  QuantizationConfig config;
  config.ifmap.bits = config.weight.bits = 4;
  config.elementwise_bits = 8;
  const ImageSource images = source();
  const QuantizedNetwork network = run(config);
  const FakeQuantizedNetwork fake = fake_quantized(network);
  constexpr int64_t kFew = 16;
  std::vector<std::vector<float>> real(model_.network.tensors.size()), rounded(fake.tensors.size());
  const auto keep = [](std::vector<std::vector<float>>& to) {
    return [&to](int tensor, std::span<const float> values) {
      to[static_cast<size_t>(tensor)].assign(values.begin(), values.end());
    };
  };
  FloatExecutor(model_.network, kFew).run(std::span(images_).first(kFew * 784), kFew, keep(real));
  FloatExecutor(fake.network, kFew, fake.tensors)
      .run(std::span(images_).first(kFew * 784), kFew, keep(rounded));
  Trunk trunk(model_.network, fake, images, kFew);
  int64_t not_from_images = 0;
  for (size_t i = 0; i < model_.network.layers.size(); ++i) {
    const FloatLayer& layer = model_.network.layers[i];
    if (!has_weights(layer)) continue;
    const auto own = std::find_if(network.layers.begin(), network.layers.end(),
                                  [&](const auto& one) { return one.name == layer.name; });
    const LayerInputs inputs = trunk.before(i, own->ifmaps[0]);
    not_from_images += inputs.real.input != model_.network.input;
    PairRunner(inputs).run(0, kFew, [&](int64_t, int64_t, auto x, auto y) {
      const auto& wanted = real[static_cast<size_t>(layer.inputs[0])];
      ASSERT_EQ(x.size(), wanted.size()) << layer.name;
      for (size_t k = 0; k < x.size(); ++k) ASSERT_NEAR(x[k], wanted[k], 1e-3) << layer.name;
      const auto& codes = rounded[static_cast<size_t>(own->ifmaps[0])];
      ASSERT_EQ(y.size(), codes.size()) << layer.name;
      size_t differ = 0;  // at ties, by float32's order of sums
      for (size_t k = 0; k < y.size(); ++k) differ += std::abs(y[k] - codes[k]) > 1e-3F;
      ASSERT_LE(differ, y.size() / 500) << layer.name;
    });
  }
  EXPECT_GT(not_from_images, 3);
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
