#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <chrono>

#include "sim/evaluate.h"

namespace widthwise {
namespace {

constexpr int64_t kStaticBatch = 16;  // of the images of a batch whose ranges do not depend on it

}  // namespace

Evaluation evaluate_distiller(const DistillerRunner& runner, const DataSet& data,
                              std::vector<ClippingCounts>& counts, Progress& progress,
                              const OutputVisitor& visit) {
  const auto started = std::chrono::steady_clock::now();
  const FloatNetwork& network = runner.network().network;
  const int64_t images = data.count(), in = data.input_elements(),
                classes = network.tensor(network.output).elements();
  const int64_t batch =
      runner.network().dynamic ? runner.batch() : std::min(runner.batch(), kStaticBatch);
  std::vector<ImageScore> scores(static_cast<size_t>(images));
  tbb::enumerable_thread_specific<DistillerRunner::State> states(
      [&] { return runner.make_state(); });
  const int64_t batches = (images + batch - 1) / batch;
  tbb::parallel_for(tbb::blocked_range<int64_t>(0, batches, 1), [&](const auto& range) {
    std::vector<float> values;
    for (int64_t b = range.begin(); b < range.end(); ++b) {
      const int64_t first = b * batch, count = std::min(batch, images - first);
      values.resize(static_cast<size_t>(count * in));
      data.read(first, count, values);
      const auto outputs = runner.run(values, count, states.local());
      for (int64_t i = 0; i < count; ++i) {
        const auto at = static_cast<size_t>(first + i);
        scores[at] = score_image(
            outputs.subspan(static_cast<size_t>(i * classes), static_cast<size_t>(classes)),
            data.labels().empty() ? 0 : data.labels()[at]);
      }
      if (visit) visit(first, count, outputs);
      progress.advance(count);
    }
  });
  Evaluation evaluation = summarize(scores);
  counts.assign(runner.network().layers.size(), {});
  for (const auto& state : states) {
    for (size_t i = 0; i < counts.size(); ++i) counts[i].merge(state.counts[i]);
  }
  evaluation.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return evaluation;
}

}  // namespace widthwise
