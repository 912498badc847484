// Ranges that calibration finds, against a plain loop over the scalar executor.
#include "quant/calibrate.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <mutex>
#include <random>
#include <set>

#include "core/files.h"
#include "models/float_reference.h"
#include "models/model.h"

namespace widthwise {
namespace {

constexpr int64_t kImages = 21;  // one whole batch and a rest

class Calibrate : public testing::Test {
 protected:
  Calibrate()
      : model_(load_network(share_folder() / "models" / "zoo" / "plain_cnn.onnx")),
        values_(static_cast<size_t>(kImages * elements())) {
    std::mt19937 random(1);
    for (float& v : values_) v = static_cast<float>(random() % 256) / 255;
  }
  int64_t elements() const { return model_.network.tensor(model_.network.input).elements(); }
  ImageSource source() const {
    return [this](int64_t first, int64_t count, std::span<float> to) {
      std::copy_n(values_.begin() + first * elements(), count * elements(), to.begin());
    };
  }
  Statistics run(size_t threads, Detail detail = Detail::kRanges) const {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    return calibrate(model_.network, source(), kImages, Progress::none(), detail);
  }
  Model model_;
  std::vector<float> values_;
};

TEST_F(Calibrate, RangesAreThoseOfThePlainLoop) {
  const Statistics statistics = run(2);
  ASSERT_EQ(statistics.size(), model_.network.tensors.size());
  std::vector<double> least(statistics.size(), 1e30), greatest(statistics.size(), -1e30);
  for (int64_t i = 0; i < kImages; ++i) {
    const Values image(values_.begin() + i * elements(), values_.begin() + (i + 1) * elements());
    const auto tensors = run_float_reference(model_.network, image);
    for (size_t t = 0; t < tensors.size(); ++t) {
      const auto [low, high] = std::minmax_element(tensors[t].begin(), tensors[t].end());
      least[t] = std::min(least[t], *low);
      greatest[t] = std::max(greatest[t], *high);
    }
  }
  for (size_t t = 0; t < least.size(); ++t) {
    const std::string& name = model_.network.tensors[t].name;
    const TensorStatistics& s = statistics.at(name);
    // float32 sums of up to 1568 products against double.
    const double tolerance = 1e-4 * std::max(std::abs(least[t]), std::abs(greatest[t]));
    EXPECT_NEAR(s.min, least[t], tolerance) << name;
    EXPECT_NEAR(s.max, greatest[t], tolerance) << name;
    EXPECT_LT(s.min, s.max) << name;
    EXPECT_EQ(s.images, kImages);
  }
}

TEST_F(Calibrate, MomentsAndHistogramsAreThoseOfThePlainLoop) {
  const Statistics statistics = run(2, Detail::kHistograms);
  std::vector<Values> all(statistics.size());
  std::vector<double> min_sum(statistics.size()), max_sum(statistics.size());
  for (int64_t i = 0; i < kImages; ++i) {
    const Values image(values_.begin() + i * elements(), values_.begin() + (i + 1) * elements());
    const auto tensors = run_float_reference(model_.network, image);
    for (size_t t = 0; t < tensors.size(); ++t) {
      all[t].insert(all[t].end(), tensors[t].begin(), tensors[t].end());
      min_sum[t] += *std::min_element(tensors[t].begin(), tensors[t].end());
      max_sum[t] += *std::max_element(tensors[t].begin(), tensors[t].end());
    }
  }
  for (size_t t = 0; t < all.size(); ++t) {
    const FloatTensor& tensor = model_.network.tensors[t];
    const TensorStatistics& s = statistics.at(tensor.name);
    const auto n = static_cast<double>(all[t].size());
    double mean = 0, square = 0, b = 0;
    for (const double x : all[t]) mean += x / n;
    for (const double x : all[t]) square += (x - mean) * (x - mean) / n;
    for (const double x : all[t]) b += std::abs(x - mean) / n;
    const double tolerance = 1e-4 * std::max(std::abs(s.min), std::abs(s.max));
    EXPECT_NEAR(*s.mean, mean, tolerance) << tensor.name;
    EXPECT_NEAR(*s.std, std::sqrt(square), tolerance) << tensor.name;
    EXPECT_NEAR(*s.b, b, tolerance) << tensor.name;
    EXPECT_NEAR(*s.avg_min, min_sum[t] / kImages, tolerance) << tensor.name;
    EXPECT_NEAR(*s.avg_max, max_sum[t] / kImages, tolerance) << tensor.name;
    EXPECT_EQ(s.total_numel, kImages * tensor.elements());
    EXPECT_EQ(s.shape[0], kImages);
    ASSERT_EQ(s.histogram->counts.size(), 2048u);
    EXPECT_EQ(s.histogram->low, s.min);
    EXPECT_EQ(s.histogram->high, s.max);
    // The share of values below each sixteenth of the range, within a bin at its border.
    std::sort(all[t].begin(), all[t].end());
    const double bin = (s.max - s.min) / 2048;
    int64_t below = 0;
    for (size_t i = 0; i < 2048; ++i) {
      if (i % 128 == 0) {
        const double border = s.min + static_cast<double>(i) * bin;
        const auto at = [&](double x) {
          return std::lower_bound(all[t].begin(), all[t].end(), x) - all[t].begin();
        };
        EXPECT_GE(below, at(border - bin)) << tensor.name << ", bin " << i;
        if (i > 0) {
          EXPECT_LE(below, at(border + bin)) << tensor.name << ", bin " << i;
        }
      }
      below += s.histogram->counts[i];
    }
    EXPECT_EQ(below, s.total_numel);
  }
}

TEST_F(Calibrate, OneAndTwoThreadsGiveTheSame) {
  const Statistics one = run(1, Detail::kHistograms), two = run(2, Detail::kHistograms);
  for (const auto& [name, s] : one) {
    const TensorStatistics& other = two.at(name);
    EXPECT_EQ(s.min, other.min) << name;
    EXPECT_EQ(s.max, other.max) << name;
    EXPECT_EQ(s.mean, other.mean) << name;
    EXPECT_EQ(s.std, other.std) << name;
    EXPECT_EQ(s.b, other.b) << name;
    EXPECT_EQ(s.avg_min, other.avg_min) << name;
    EXPECT_EQ(s.histogram->counts, other.histogram->counts) << name;
  }
}

TEST_F(Calibrate, ASmallSpreadAboutAGreatMeanIsKept) {
  FloatNetwork network;
  network.name = "input only";
  network.tensors = {{"x", {2}}};
  network.input = network.output = 0;
  const ImageSource wide = [](int64_t first, int64_t count, std::span<float> to) {
    for (int64_t i = 0; i < 2 * count; ++i)
      to[static_cast<size_t>(i)] = 1e6F + static_cast<float>((first * 2 + i) % 2);
  };
  const Statistics s = calibrate(network, wide, 200, Progress::none(), Detail::kMoments);
  EXPECT_EQ(s.at("x").std, 0.5);
  EXPECT_EQ(s.at("x").mean, 1e6 + 0.5);
}

TEST_F(Calibrate, EveryImageIsVisitedOnce) {
  std::mutex mutex;
  std::set<int64_t> seen;
  run_float(
      model_.network, source(), kImages, {},
      [&](const FloatBatch& batch) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(std::ssize(batch.output), batch.count * 10);
        for (int64_t i = 0; i < batch.count; ++i) EXPECT_TRUE(seen.insert(batch.first + i).second);
      },
      Progress::none());
  EXPECT_EQ(std::ssize(seen), kImages);
}

}  // namespace
}  // namespace widthwise
