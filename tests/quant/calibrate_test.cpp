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
  Statistics run(size_t threads) const {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    return calibrate(model_.network, source(), kImages, Progress::none());
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

TEST_F(Calibrate, OneAndTwoThreadsGiveTheSame) {
  const Statistics one = run(1), two = run(2);
  for (const auto& [name, s] : one) {
    EXPECT_EQ(s.min, two.at(name).min) << name;
    EXPECT_EQ(s.max, two.at(name).max) << name;
  }
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
