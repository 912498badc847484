#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "core/progress.h"
#include "models/image_source.h"
#include "models/network.h"
#include "quant/statistics.h"

namespace widthwise {

enum class Detail {
  kRanges,      // minima, maxima, their averages, the mean; in one pass
  kMoments,     // std and b, too, in a second pass
  kHistograms,  // and a histogram
};
inline constexpr int kHistogramBins = 2048;  // equal ones over [min, max]

// Statistics of every tensor over the first `images` images of a source, by the definitions of
// RecordCollector for Compat::kNone (quant/tensor_collector.h). `progress` advances by as many
// images as are read: twice for more than ranges. Throws InputError where a layer's values are not
// finite.
Statistics calibrate(const FloatNetwork& network, const ImageSource& source, int64_t images,
                     Progress& progress, Detail detail = Detail::kRanges);

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
