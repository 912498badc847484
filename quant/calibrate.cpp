#include "quant/calibrate.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <vector>

#include "models/float_executor.h"
#include "quant/batch_slots.h"
#include "quant/tensor_collector.h"

namespace widthwise {

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
  std::vector<std::string> names;
  for (const FloatLayer& layer : network.layers) names.push_back(layer.name);
  const CollectorOptions options = {
      .histogram_bins = detail == Detail::kHistograms ? kHistogramBins : 0,
      .only_ranges = detail == Detail::kRanges};
  const auto records =
      collect_tensors(network, names, std::vector<bool>(network.tensors.size(), true), source,
                      images, options, progress);
  Statistics statistics;
  for (size_t t = 0; t < records.size(); ++t)
    statistics[network.tensors[t].name] = records[t].record(network.tensors[t].shape);
  return statistics;
}

}  // namespace widthwise
