// Records of one tensor against plain loops, and of every layer of a network, however many threads
// there are.
#include "quant/collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <atomic>
#include <cmath>
#include <mutex>
#include <random>

#include "core/error.h"
#include "core/files.h"
#include "models/float_reference.h"
#include "models/lowering.h"
#include "models/model.h"
#include "quant/module_names.h"
#include "quant/statistics_yaml.h"
#include "tests/quant/quant_support.h"

namespace widthwise {
namespace {

using testing::HasSubstr;

std::vector<float> random_values(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.3F, 2);
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

struct Batches {
  std::vector<std::vector<float>> values;
  std::vector<int64_t> samples;
};
Batches growing(int64_t each, std::vector<int64_t> samples) {
  Batches batches{{}, samples};
  for (const int64_t n : samples)
    batches.values.push_back(
        random_values(static_cast<size_t>(n * each), static_cast<unsigned>(n + 100 * each)));
  return batches;
}

TensorStatistics collect(const Batches& batches, int64_t each, Compat compat, int bins = 0) {
  RecordCollector collector(compat, bins);
  for (size_t i = 0; i < batches.values.size(); ++i)
    collector.add_batch(TensorSums(batches.values[i], batches.samples[i]));
  for (const auto& values : batches.values) collector.add_deviations(collector.deviations(values));
  return collector.record({each});
}

// The definitions once more, value by value.
struct Plain {
  std::vector<double> all, minima, maxima;  // of all samples
  std::vector<double> batch_minima, batch_maxima, batch_means;
  explicit Plain(const Batches& batches) {
    for (size_t i = 0; i < batches.values.size(); ++i) {
      const auto& values = batches.values[i];
      const size_t samples = static_cast<size_t>(batches.samples[i]),
                   each = values.size() / samples;
      double low = 0, high = 0, sum = 0;
      for (size_t s = 0; s < samples; ++s) {
        const auto [a, b] =
            std::minmax_element(values.begin() + static_cast<std::ptrdiff_t>(s * each),
                                values.begin() + static_cast<std::ptrdiff_t>((s + 1) * each));
        minima.push_back(*a);
        maxima.push_back(*b);
        low += *a;
        high += *b;
      }
      for (const float v : values) {
        all.push_back(v);
        sum += v;
      }
      batch_minima.push_back(low / static_cast<double>(samples));
      batch_maxima.push_back(high / static_cast<double>(samples));
      batch_means.push_back(sum / static_cast<double>(values.size()));
    }
  }
  static double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values) sum += v;
    return sum / static_cast<double>(values.size());
  }
};

class RecordSizes : public testing::TestWithParam<int64_t> {};  // elements of a sample

TEST_P(RecordSizes, MendedDefinitionsAreThePlainOnes) {
  const Batches batches = growing(GetParam(), {2, 3, 7, 1});
  const Plain plain(batches);
  const TensorStatistics s = collect(batches, GetParam(), Compat::kNone);
  const double mean = Plain::mean(plain.all);
  double squares = 0, absolutes = 0;
  for (const double v : plain.all) {
    squares += (v - mean) * (v - mean);
    absolutes += std::abs(v - mean);
  }
  const auto n = static_cast<double>(plain.all.size());
  EXPECT_EQ(s.min, *std::min_element(plain.all.begin(), plain.all.end()));
  EXPECT_EQ(s.max, *std::max_element(plain.all.begin(), plain.all.end()));
  EXPECT_NEAR(*s.avg_min, Plain::mean(plain.minima), 1e-12);
  EXPECT_NEAR(*s.avg_max, Plain::mean(plain.maxima), 1e-12);
  EXPECT_NEAR(*s.mean, mean, 1e-12);
  EXPECT_NEAR(*s.std, std::sqrt(squares / n), 1e-12);
  EXPECT_NEAR(*s.b, absolutes / n, 1e-12);
  EXPECT_EQ(s.images, 13);
  EXPECT_EQ(s.total_numel, 13 * GetParam());
  EXPECT_EQ(s.shape, (std::vector<int64_t>{2, GetParam()}));  // the first batch's
}

TEST_P(RecordSizes, OldReleaseAveragesBatches) {
  const Batches batches = growing(GetParam(), {2, 3, 7, 1});
  const Plain plain(batches);
  const TensorStatistics s = collect(batches, GetParam(), Compat::kDistiller03);
  const double mean = Plain::mean(plain.batch_means);
  double squares = 0;
  for (const double v : plain.all) squares += (v - mean) * (v - mean);
  EXPECT_NEAR(*s.avg_min, Plain::mean(plain.batch_minima), 1e-12);
  EXPECT_NEAR(*s.avg_max, Plain::mean(plain.batch_maxima), 1e-12);
  EXPECT_NEAR(*s.mean, mean, 1e-12);
  EXPECT_NEAR(*s.std, std::sqrt(squares / static_cast<double>(plain.all.size() - 1)), 1e-12);
  EXPECT_FALSE(s.b);
}

TEST_P(RecordSizes, HistogramHoldsEveryValueInItsBin) {
  const Batches batches = growing(GetParam(), {5, 4});
  const TensorStatistics s = collect(batches, GetParam(), Compat::kNone, 10);
  ASSERT_TRUE(s.histogram);
  EXPECT_EQ(s.histogram->low, s.min);
  EXPECT_EQ(s.histogram->high, s.max);
  std::vector<int64_t> counts(10);
  for (const auto& values : batches.values)
    for (const float v : values)
      ++counts[std::min<size_t>(9, static_cast<size_t>((v - s.min) * (10 / (s.max - s.min))))];
  EXPECT_EQ(s.histogram->counts, counts);
}

// 8 lanes: below, at and above them.
INSTANTIATE_TEST_SUITE_P(Elements, RecordSizes, testing::Values(2, 7, 8, 9, 15, 16, 17, 100));

TEST(RecordCollector, PastWeighsByElementsInDistiller) {
  RecordCollector collector(Compat::kDistiller04);
  const std::vector<float> first = {-1, 1, -3, 1}, second = {-100, 0, -100, 0};
  collector.add_batch(TensorSums(first, 2));   // minima -1, -3
  collector.add_batch(TensorSums(second, 2));  // minima -100, -100
  const TensorStatistics s = collector.record({2});
  EXPECT_DOUBLE_EQ(*s.avg_min, (4 * -2.0 + 2 * -100.0) / (4 + 2));
  EXPECT_DOUBLE_EQ(*s.mean, (-2.0 - 200.0) / 8);
  EXPECT_FALSE(s.std);  // no second pass
  EXPECT_FALSE(s.b);
}

TEST(RecordCollector, SamplesOfOneElementGiveTheirBatchesExtremes) {
  const std::vector<float> first = {1, 2, 3}, second = {-5, 7};
  const auto of = [&](Compat compat) {
    RecordCollector collector(compat);
    collector.add_batch(TensorSums(first, 3));
    collector.add_batch(TensorSums(second, 2));
    return collector.record({1});
  };
  EXPECT_DOUBLE_EQ(*of(Compat::kDistiller04).avg_min, (3 * 1.0 + 1 * -5.0) / 4);
  EXPECT_DOUBLE_EQ(*of(Compat::kDistiller03).avg_min, (1.0 - 5.0) / 2);
  EXPECT_DOUBLE_EQ(*of(Compat::kNone).avg_min, (3 * 1.0 + 2 * -5.0) / 5);
  EXPECT_DOUBLE_EQ(*of(Compat::kNone).avg_max, (3 * 3.0 + 2 * 7.0) / 5);
}

TEST(RecordCollector, ConstantTensorIsInTheFirstBin) {
  const std::vector<float> values(20, 0.1F);
  const TensorStatistics s = collect({{values}, {2}}, 10, Compat::kNone, 4);
  EXPECT_EQ(s.histogram->counts, (std::vector<int64_t>{20, 0, 0, 0}));
  EXPECT_EQ(*s.mean, static_cast<double>(0.1F));
  EXPECT_EQ(*s.std, 0);
}

TEST(TensorSums, WhatIsNotFiniteShowsInTheSum) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (size_t at = 0; at < 19; ++at) {  // 16 in lanes, 3 after them
      std::vector<float> values(19, 1);
      values[at] = bad;
      EXPECT_FALSE(std::isfinite(TensorSums(values, 1).sum)) << bad << " at " << at;
    }
  }
  const std::vector<float> largest(64, 3.4e38F);  // their float sum would overflow
  EXPECT_TRUE(std::isfinite(TensorSums(largest, 1).sum));
}

constexpr int64_t kImages = 61;

class Collect : public testing::Test {
 protected:
  Collect() : model_(load_network(share_folder() / "models" / "zoo" / "plain_cnn.onnx")) {
    network_ = lower(model_.graph, Clamps::kLayers);
    const auto names = module_names(model_.graph);
    for (const FloatLayer& layer : network_.layers) modules_.push_back(names.at(layer.name));
    values_ = random_values(static_cast<size_t>(kImages * elements()), 3);
  }
  int64_t elements() const { return network_.tensor(network_.input).elements(); }
  ImageSource source() const {
    return [this](int64_t first, int64_t count, std::span<float> to) {
      std::copy_n(values_.begin() + first * elements(), count * elements(), to.begin());
    };
  }
  NetworkStatistics run(size_t threads, const CollectorOptions& options) const {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    return collect_statistics(network_, modules_, source(), kImages, options, Progress::none());
  }
  Model model_;
  FloatNetwork network_;
  std::vector<std::string> modules_;
  std::vector<float> values_;
};

TEST_F(Collect, EveryLayerHasTheRecordsOfItsTensors) {
  std::vector<decltype(run_float_reference(network_, Values()))> images;
  for (int64_t i = 0; i < kImages; ++i) {
    const float* image = values_.data() + i * elements();
    images.push_back(run_float_reference(network_, Values(image, image + elements())));
  }
  for (const Compat compat : {Compat::kNone, Compat::kDistiller03, Compat::kDistiller04}) {
    for (const int64_t batch : {1, 7, 25, 61, 128}) {
      const auto found = run(2, {.batch = batch, .compat = compat});
      std::vector<Batches> tensors(network_.tensors.size());
      for (int64_t i = 0; i < kImages; ++i) {
        const auto& seen = images[static_cast<size_t>(i)];
        for (size_t t = 0; t < seen.size(); ++t) {
          if (i % batch == 0) {
            tensors[t].values.emplace_back();
            tensors[t].samples.push_back(0);
          }
          ++tensors[t].samples.back();
          for (const auto v : seen[t]) tensors[t].values.back().push_back(static_cast<float>(v));
        }
      }
      size_t records = 0;
      const auto expect_record = [&](const TensorStatistics& s, int tensor) {
        ++records;
        const auto t = static_cast<size_t>(tensor);
        const TensorStatistics wanted =
            collect(tensors[t], network_.tensor(tensor).elements(), compat);
        const std::string& name = network_.tensor(tensor).name;
        const double tolerance = 1e-4 * (wanted.max - wanted.min);  // float32 sums against double
        EXPECT_NEAR(s.min, wanted.min, tolerance) << name;
        EXPECT_NEAR(s.max, wanted.max, tolerance) << name;
        EXPECT_NEAR(*s.avg_min, *wanted.avg_min, tolerance) << name;
        EXPECT_NEAR(*s.avg_max, *wanted.avg_max, tolerance) << name;
        EXPECT_NEAR(*s.mean, *wanted.mean, tolerance) << name;
        EXPECT_NEAR(*s.std, *wanted.std, tolerance) << name;
        EXPECT_EQ(s.b.has_value(), wanted.b.has_value());
        EXPECT_NEAR(s.b.value_or(0), wanted.b.value_or(0), tolerance) << name;
        std::vector<int64_t> shape = network_.tensor(tensor).shape;
        shape.insert(shape.begin(), std::min(batch, kImages));
        EXPECT_EQ(s.shape, shape) << name;
        EXPECT_EQ(s.images, kImages);
        EXPECT_EQ(s.total_numel, kImages * network_.tensor(tensor).elements()) << name;
      };
      size_t layers = 0;
      for (size_t i = 0; i < modules_.size(); ++i) {
        const FloatLayer& layer = network_.layers[i];
        ASSERT_EQ(found.contains(modules_[i]), !only_moves(layer)) << modules_[i];
        if (only_moves(layer)) continue;
        const LayerStatistics& s = found.at(modules_[i]);
        EXPECT_EQ(s.position, static_cast<int>(layers++));
        ASSERT_EQ(s.inputs.size(), layer.inputs.size());
        for (size_t k = 0; k < layer.inputs.size(); ++k)
          expect_record(s.inputs.at(static_cast<int>(k)), layer.inputs[k]);
        expect_record(*s.output, layer.output);
      }
      EXPECT_EQ(found.size(), layers);
      EXPECT_GT(records, 10U);
      if (HasFailure()) FAIL() << "batches of " << batch;
    }
  }
}

TEST_F(Collect, OneAndTwoThreadsGiveTheSameToTheBit) {
  for (const int64_t batch : {7, 25, 128}) {
    const CollectorOptions options{
        .batch = batch, .compat = Compat::kDistiller04, .histogram_bins = 64};
    const std::string one = statistics_yaml(run(1, options));
    for (int round = 0; round < 3; ++round)
      EXPECT_EQ(one, statistics_yaml(run(2, options))) << "batches of " << batch;
  }
}

TEST_F(Collect, HistogramsHoldEveryElement) {
  const auto found = run(2, {.batch = 25, .compat = Compat::kNone, .histogram_bins = 33});
  for (const auto& [name, layer] : found) {
    ASSERT_TRUE(layer.output->histogram) << name;
    EXPECT_EQ(layer.output->histogram->counts.size(), 33U);
    int64_t sum = 0;
    for (const int64_t count : layer.output->histogram->counts) sum += count;
    EXPECT_EQ(sum, layer.output->total_numel) << name;
  }
}

TEST_F(Collect, ImagesAreReadOncePerPass) {
  std::mutex mutex;
  std::map<int64_t, int> seen;
  std::atomic<int64_t> advanced = 0;
  class Counting : public Progress {
   public:
    explicit Counting(std::atomic<int64_t>& done) : done_(done) {}
    void begin(const std::string&, int64_t, const std::string&) override {}
    void advance(int64_t done) override { done_ += done; }
    void end() override {}

   private:
    std::atomic<int64_t>& done_;
  } progress(advanced);
  const ImageSource counting = [&](int64_t first, int64_t count, std::span<float> to) {
    source()(first, count, to);
    const std::lock_guard lock(mutex);
    for (int64_t i = 0; i < count; ++i) ++seen[first + i];
  };
  collect_statistics(network_, modules_, counting, kImages, {.batch = 25}, progress);
  EXPECT_EQ(std::ssize(seen), kImages);
  for (const auto& [image, times] : seen) EXPECT_EQ(times, 2) << image;
  EXPECT_EQ(advanced, 2 * kImages);
}

TEST(CollectMade, ConcatIsRecordedAndFlattenIsNot) {
  testing_support::FloatBuilder made({2, 1, 1});
  const int x = made.network.input;
  const int y = made.conv("conv", x, {2, 0, 0, 2}, {});
  const int joined = made.move("concat", {y, x});
  made.network.layers.back().operator_type = "Concat";
  made.move("flatten", {joined});
  const std::vector<float> values = {1, -2, 3, 5};
  const ImageSource source = [&](int64_t first, int64_t count, std::span<float> to) {
    std::copy_n(values.begin() + first * 2, count * 2, to.begin());
  };
  const auto found = collect_statistics(made.network, {"conv", "concat", "flatten"}, source, 2, {},
                                        Progress::none());
  ASSERT_EQ(found.size(), 2U);
  const LayerStatistics& s = found.at("concat");
  EXPECT_EQ(s.position, 1);
  EXPECT_EQ(s.inputs.at(0).max, 10);
  EXPECT_EQ(s.inputs.at(1).max, 5);
  EXPECT_EQ(s.output->max, 10);
  EXPECT_EQ(s.output->min, -4);
  EXPECT_EQ(s.output->avg_min, (-4 + 3) / 2.0);
  EXPECT_EQ(s.output->shape, (std::vector<int64_t>{2, 4, 1, 1}));
}

TEST_F(Collect, ValuesThatAreNotFiniteNameTheFirstLayer) {
  const auto refusal = [&] {
    try {
      run(2, {.batch = 25});
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("was collected");
  };
  values_[static_cast<size_t>(30 * elements() + 5)] = NAN;
  EXPECT_THAT(refusal(), HasSubstr("': input is not finite for images 25.."));
  values_[static_cast<size_t>(30 * elements() + 5)] = 0;
  size_t product = 0;
  while (network_.layers[product].bias.empty()) ++product;
  network_.layers[product].bias[0] = INFINITY;
  EXPECT_THAT(refusal(), HasSubstr("layer '" + modules_[product] + "': output is not finite"));
}

}  // namespace
}  // namespace widthwise
