#include "sim/evaluate.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace widthwise {
namespace {

constexpr int64_t kBatch = 16;  // a fully connected layer's pixels are images: one vector of them

}  // namespace

ImageScore score_image(std::span<const float> logits, int32_t label) {
  ImageScore score;
  const auto best = std::max_element(logits.begin(), logits.end());
  score.prediction = static_cast<int32_t>(best - logits.begin());
  const auto own = static_cast<size_t>(label);
  int64_t before = 0;
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    before += logits[i] > logits[own] || (logits[i] == logits[own] && i < own);
    sum += std::exp(static_cast<double>(logits[i]) - *best);
  }
  score.top1 = before == 0;
  score.top5 = before < 5;
  score.loss = std::log(sum) + *best - logits[own];
  return score;
}

Evaluation summarize(std::span<const ImageScore> scores) {
  Evaluation evaluation;
  evaluation.images = static_cast<int64_t>(scores.size());
  for (const ImageScore& score : scores) {
    evaluation.top1_correct += score.top1;
    evaluation.top5_correct += score.top5;
    evaluation.mean_loss += score.loss / static_cast<double>(scores.size());
    evaluation.predictions.push_back(score.prediction);
  }
  return evaluation;
}

Evaluation evaluate(const Simulator& simulator, const CodeSource& source, Progress& progress) {
  const auto started = std::chrono::steady_clock::now();
  const QuantizedNetwork& network = simulator.network();
  const auto images = static_cast<int64_t>(source.labels.size());
  const int64_t in = network.tensor(network.input).elements(),
                classes = network.tensor(network.output).elements();
  const TensorQuantization& output = network.tensor(network.output).quantization;
  std::vector<ImageScore> scores(static_cast<size_t>(images));
  tbb::enumerable_thread_specific<Simulator::State> states([&] { return simulator.make_state(); });

  const int64_t batches = (images + kBatch - 1) / kBatch;
  tbb::parallel_for(
      tbb::blocked_range<int64_t>(0, batches, 1), [&](const tbb::blocked_range<int64_t>& range) {
        Simulator::State& state = states.local();
        std::vector<int32_t> codes;
        std::vector<float> logits(static_cast<size_t>(classes));
        for (int64_t batch = range.begin(); batch < range.end(); ++batch) {
          const int64_t first = batch * kBatch, count = std::min(kBatch, images - first);
          codes.resize(static_cast<size_t>(count * in));
          source.fill(first, count, codes.data());
          simulator.run(codes, count, state);
          const auto out =
              state.tensors[static_cast<size_t>(network.output)].planes(state.workspace.planes);
          for (int64_t i = 0; i < count; ++i) {
            for (int64_t c = 0; c < classes; ++c) {
              const int32_t code = out[static_cast<size_t>(i * classes + c)];
              logits[static_cast<size_t>(c)] =
                  static_cast<float>(code - output.zero_point) * output.scale;
            }
            const auto at = static_cast<size_t>(first + i);
            scores[at] = score_image(logits, source.labels[at]);
          }
          progress.advance(count);
        }
      });

  Evaluation evaluation = summarize(scores);
  evaluation.records = simulator.make_state().records;
  for (const Simulator::State& state : states) {
    for (size_t i = 0; i < evaluation.records.size(); ++i)
      evaluation.records[i].merge(state.records[i]);
  }
  evaluation.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return evaluation;
}

Evaluation evaluate_float(const FloatNetwork& network, const ImageSource& source, int64_t images,
                          std::span<const int32_t> labels, Progress& progress,
                          const OutputVisitor& visit) {
  const auto started = std::chrono::steady_clock::now();
  const int64_t classes = network.tensor(network.output).elements();
  std::vector<ImageScore> scores(static_cast<size_t>(images));
  run_float(
      network, source, images, {},
      [&](const FloatBatch& batch) {
        for (int64_t i = 0; i < batch.count; ++i) {
          const auto at = static_cast<size_t>(batch.first + i);
          scores[at] = score_image(
              batch.output.subspan(static_cast<size_t>(i * classes), static_cast<size_t>(classes)),
              labels.empty() ? 0 : labels[at]);
        }
        if (visit) visit(batch.first, batch.count, batch.output);
      },
      progress);
  Evaluation evaluation = summarize(scores);
  evaluation.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return evaluation;
}

}  // namespace widthwise
