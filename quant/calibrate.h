#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "core/progress.h"
#include "models/dataset.h"
#include "models/network.h"
#include "quant/statistics.h"

namespace widthwise {

// Writes images [first, first + count) as the network's float input. Called by many threads.
using ImageSource = std::function<void(int64_t first, int64_t count, std::span<float> values)>;

// Of a data set, which must outlive it.
inline ImageSource image_source(const DataSet& data) {
  return [&data](int64_t first, int64_t count, std::span<float> values) {
    data.read(first, count, values);
  };
}

enum class Detail {
  kMoments,     // all but the two below, in one pass
  kHistograms,  // and b and a histogram, in a second pass
};
inline constexpr int kHistogramBins = 2048;  // equal ones over [min, max]

// Statistics of every tensor over the first `images` images of a source, in FP32 on both cores.
// Sums are taken in double, in an order that does not depend on the threads. Memory is that of a
// few batches. A histogram of values that are not finite is empty.
Statistics calibrate(const FloatNetwork& network, const ImageSource& source, int64_t images,
                     Progress& progress, Detail detail = Detail::kMoments);

// Runs a float network over images in batches, in parallel. visit is called by many threads, for
// every batch, with the executor's observer before it runs and its output after.
struct FloatBatch {
  int64_t first, count;
  std::span<const float> output;  // [count, classes]
};
void run_float(const FloatNetwork& network, const ImageSource& source, int64_t images,
               const std::function<void(int tensor, std::span<const float> values)>& observe,
               const std::function<void(const FloatBatch& batch)>& visit, Progress& progress);

}  // namespace widthwise
