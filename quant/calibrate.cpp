#include "quant/calibrate.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "models/float_executor.h"

namespace widthwise {
namespace {

constexpr int kBatch = 16;

// A NaN stays, for quantize() to refuse.
double least(double a, double b) { return std::isnan(a) || a < b ? a : b; }

}  // namespace

void run_float(const FloatNetwork& network, const ImageSource& source, int64_t images,
               const std::function<void(int tensor, std::span<const float> values)>& observe,
               const std::function<void(const FloatBatch& batch)>& visit, Progress& progress) {
  tbb::enumerable_thread_specific<FloatExecutor> executors(
      [&] { return FloatExecutor(network, kBatch); });
  const int64_t in = network.tensor(network.input).elements();
  const int64_t out = network.tensor(network.output).elements();
  const int64_t batches = (images + kBatch - 1) / kBatch;
  tbb::parallel_for(tbb::blocked_range<int64_t>(0, batches, 1), [&](const auto& range) {
    FloatExecutor& executor = executors.local();
    std::vector<float> values;
    for (int64_t batch = range.begin(); batch < range.end(); ++batch) {
      const int64_t first = batch * kBatch, count = std::min<int64_t>(kBatch, images - first);
      values.resize(static_cast<size_t>(count * in));
      source(first, count, values);
      const auto output = executor.run(values, static_cast<int>(count), observe);
      if (visit) visit({first, count, output.subspan(0, static_cast<size_t>(count * out))});
      progress.advance(count);
    }
  });
}

Statistics calibrate(const FloatNetwork& network, const ImageSource& source, int64_t images,
                     Progress& progress) {
  std::vector<TensorStatistics> fresh(network.tensors.size());
  for (TensorStatistics& s : fresh) {
    s.min = std::numeric_limits<double>::infinity();
    s.max = -s.min;
    s.images = images;
  }
  tbb::enumerable_thread_specific<std::vector<TensorStatistics>> seen(fresh);
  run_float(
      network, source, images,
      [&](int tensor, std::span<const float> values) {
        TensorStatistics& s = seen.local()[static_cast<size_t>(tensor)];
        for (const float value : values) {
          s.min = least(s.min, value);
          s.max = -least(-s.max, -value);
        }
      },
      {}, progress);
  Statistics statistics;
  for (size_t i = 0; i < fresh.size(); ++i) {
    TensorStatistics& all = statistics[network.tensors[i].name] = fresh[i];
    for (const auto& local : seen) {
      all.min = least(all.min, local[i].min);
      all.max = -least(-all.max, -local[i].max);
    }
  }
  return statistics;
}

}  // namespace widthwise
