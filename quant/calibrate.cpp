#include "quant/calibrate.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "models/float_executor.h"
#include "quant/batch_slots.h"

namespace widthwise {
namespace {

// A NaN stays, for quantize() to refuse.
double least(double a, double b) { return std::isnan(a) || a < b ? a : b; }
double greatest(double a, double b) { return std::isnan(a) || a > b ? a : b; }

// Independent sums: the compiler may add them side by side.
constexpr size_t kLanes = 8;
using Lanes = std::array<double, kLanes>;
template <class Term>
double lane_sum(std::span<const float> values, const Term& term) {
  Lanes sums = {};
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += term(static_cast<double>(values[i + lane]));
  }
  for (size_t lane = 0; i < values.size(); ++i, ++lane)
    sums[lane] += term(static_cast<double>(values[i]));
  double sum = 0;
  for (const double one : sums) sum += one;
  return sum;
}

// What the first pass adds up of a tensor. Squares are of x less the first value seen, so that a
// small spread about a great mean is not lost.
struct Moments {
  double min = std::numeric_limits<double>::infinity(), max = -min;
  double min_sum = 0, max_sum = 0;  // of every image's
  double shift = 0, sum = 0, squares = 0;
  int64_t count = 0;

  void add(std::span<const float> values, int64_t images) {
    const size_t each = values.size() / static_cast<size_t>(images);
    if (count == 0 && !values.empty()) shift = static_cast<double>(values[0]);
    for (int64_t i = 0; i < images; ++i) {
      const auto own = values.subspan(static_cast<size_t>(i) * each, each);
      double low = std::numeric_limits<double>::infinity(), high = -low;
      float fast_low = std::numeric_limits<float>::infinity(), fast_high = -fast_low;
      bool is_number = true;
      for (const float x : own) {
        fast_low = x < fast_low ? x : fast_low;
        fast_high = x > fast_high ? x : fast_high;
        is_number &= !std::isnan(x);
      }
      low = is_number ? static_cast<double>(fast_low) : std::numeric_limits<double>::quiet_NaN();
      high = is_number ? static_cast<double>(fast_high) : low;
      min = least(min, low);
      max = greatest(max, high);
      min_sum += low;
      max_sum += high;
      sum += lane_sum(own, [&](double x) { return x - shift; });
      squares += lane_sum(own, [&](double x) { return (x - shift) * (x - shift); });
    }
    count += std::ssize(values);
  }

  // Of both, about this one's shift.
  void join(const Moments& other) {
    if (other.count == 0) return;
    if (count == 0) shift = other.shift;
    min = least(min, other.min);
    max = greatest(max, other.max);
    min_sum += other.min_sum;
    max_sum += other.max_sum;
    const double moved = other.shift - shift, n = static_cast<double>(other.count);
    squares += other.squares + 2 * moved * other.sum + n * moved * moved;
    sum += other.sum + n * moved;
    count += other.count;
  }
};

// What the second pass adds up: needs the range and the mean.
struct Spread {
  double deviations = 0;
  Histogram histogram;

  void add(std::span<const float> values, double mean) {
    deviations += lane_sum(values, [mean](double x) { return std::abs(x - mean); });
    if (histogram.counts.empty()) return;
    const auto low = static_cast<float>(histogram.low);
    const double width = histogram.high - histogram.low;
    float bins_per_unit = static_cast<float>(kHistogramBins / width);
    if (!std::isfinite(bins_per_unit)) bins_per_unit = 0;  // no width, or next to none
    for (const float x : values) {
      const auto bin = static_cast<int>((x - low) * bins_per_unit);
      ++histogram.counts[static_cast<size_t>(std::clamp(bin, 0, kHistogramBins - 1))];
    }
  }

  void join(const Spread& other) {
    deviations += other.deviations;
    for (size_t i = 0; i < histogram.counts.size(); ++i)
      histogram.counts[i] += other.histogram.counts[i];
  }
};

// Runs all images, slot by slot. add(slot, tensor, values, images).
template <class Add>
void observe_slots(const FloatNetwork& network, const ImageSource& source, int64_t images,
                   const Add& add, Progress& progress) {
  tbb::enumerable_thread_specific<FloatExecutor> executors(
      [&] { return FloatExecutor(network, kBatchImages); });
  const int64_t in = network.tensor(network.input).elements();
  for_slots(images, [&](int slot, int64_t batches) {
    std::vector<float> values;
    for (int64_t batch = slot; batch < batches; batch += kBatchSlots) {
      const int64_t first = batch * kBatchImages,
                    count = std::min<int64_t>(kBatchImages, images - first);
      values.resize(static_cast<size_t>(count * in));
      source(first, count, values);
      executors.local().run(
          values, static_cast<int>(count),
          [&](int tensor, std::span<const float> seen) { add(slot, tensor, seen, count); });
      progress.advance(count);
    }
  });
}

TensorStatistics statistics_of(const Moments& m, const FloatTensor& tensor, int64_t images) {
  TensorStatistics s;
  s.min = m.min;
  s.max = m.max;
  s.images = images;
  s.avg_min = m.min_sum / static_cast<double>(images);
  s.avg_max = m.max_sum / static_cast<double>(images);
  const double n = static_cast<double>(m.count), mean = m.sum / n;
  s.mean = m.shift + mean;
  s.std = std::sqrt(std::max(m.squares / n - mean * mean, 0.0));
  s.shape = tensor.shape;
  s.shape.insert(s.shape.begin(), (images - 1) % kBatchImages + 1);
  s.total_numel = m.count;
  return s;
}

}  // namespace

void run_float(const FloatNetwork& network, const ImageSource& source, int64_t images,
               const std::function<void(int tensor, std::span<const float> values)>& observe,
               const std::function<void(const FloatBatch& batch)>& visit, Progress& progress) {
  tbb::enumerable_thread_specific<FloatExecutor> executors(
      [&] { return FloatExecutor(network, kBatchImages); });
  const int64_t in = network.tensor(network.input).elements();
  const int64_t out = network.tensor(network.output).elements();
  const int64_t batches = (images + kBatchImages - 1) / kBatchImages;
  tbb::parallel_for(tbb::blocked_range<int64_t>(0, batches, 1), [&](const auto& range) {
    FloatExecutor& executor = executors.local();
    std::vector<float> values;
    for (int64_t batch = range.begin(); batch < range.end(); ++batch) {
      const int64_t first = batch * kBatchImages,
                    count = std::min<int64_t>(kBatchImages, images - first);
      values.resize(static_cast<size_t>(count * in));
      source(first, count, values);
      const auto output = executor.run(values, static_cast<int>(count), observe);
      if (visit) visit({first, count, output.subspan(0, static_cast<size_t>(count * out))});
      progress.advance(count);
    }
  });
}

Statistics calibrate(const FloatNetwork& network, const ImageSource& source, int64_t images,
                     Progress& progress, Detail detail) {
  const size_t tensors = network.tensors.size();
  std::vector<std::vector<Moments>> moments(kBatchSlots, std::vector<Moments>(tensors));
  observe_slots(
      network, source, images,
      [&](int slot, int tensor, std::span<const float> values, int64_t count) {
        moments[static_cast<size_t>(slot)][static_cast<size_t>(tensor)].add(values, count);
      },
      progress);
  std::vector<TensorStatistics> found;
  for (size_t t = 0; t < tensors; ++t) {
    Moments all;
    for (const auto& slot : moments) all.join(slot[t]);
    found.push_back(statistics_of(all, network.tensors[t], images));
  }
  if (detail == Detail::kHistograms) {
    std::vector<Spread> fresh(tensors);
    for (size_t t = 0; t < tensors; ++t) {
      const bool finite = std::isfinite(found[t].min) && std::isfinite(found[t].max);
      fresh[t].histogram = {found[t].min, found[t].max, {}};
      if (finite) fresh[t].histogram.counts.resize(kHistogramBins);
    }
    std::vector<std::vector<Spread>> spreads(kBatchSlots, fresh);
    observe_slots(
        network, source, images,
        [&](int slot, int tensor, std::span<const float> values, int64_t) {
          const auto t = static_cast<size_t>(tensor);
          spreads[static_cast<size_t>(slot)][t].add(values, *found[t].mean);
        },
        progress);
    for (size_t t = 0; t < tensors; ++t) {
      for (const auto& slot : spreads) fresh[t].join(slot[t]);
      found[t].b = fresh[t].deviations / static_cast<double>(found[t].total_numel);
      if (!fresh[t].histogram.counts.empty()) found[t].histogram = fresh[t].histogram;
    }
  }
  Statistics statistics;
  for (size_t t = 0; t < tensors; ++t) statistics[network.tensors[t].name] = found[t];
  return statistics;
}

}  // namespace widthwise
