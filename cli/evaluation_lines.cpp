#include "cli/evaluation_lines.h"

#include <fmt/format.h>

#include "sim/evaluate.h"

namespace widthwise {

EvaluationLines::EvaluationLines(int64_t images, std::span<const int32_t> labels, int64_t batch,
                                 int64_t every, Print print)
    : images_(images), labels_(labels), batch_(batch), every_(every), print_(std::move(print)) {}

void EvaluationLines::add(int64_t first, int64_t count, std::span<const float> outputs) {
  const auto classes = outputs.size() / static_cast<size_t>(count);
  int64_t top1 = 0, top5 = 0;
  double loss = 0;
  for (int64_t i = 0; i < count && !labels_.empty(); ++i) {
    const ImageScore score = score_image(outputs.subspan(static_cast<size_t>(i) * classes, classes),
                                         labels_[static_cast<size_t>(first + i)]);
    top1 += score.top1;
    top5 += score.top5;
    loss += score.loss;
  }
  const std::lock_guard lock(mutex_);
  done_ += count;
  top1_ += top1;
  top5_ += top5;
  loss_ += loss;
  const int64_t lines = done_ / (batch_ * every_);
  if (lines == printed_ && done_ < images_) return;
  printed_ = lines;
  print_(line());
}

std::string EvaluationLines::line() const {
  const int64_t batches = (images_ + batch_ - 1) / batch_, at = (done_ + batch_ - 1) / batch_;
  const auto done = static_cast<double>(done_);
  std::string text = fmt::format("Test: [{:>4}/{:>4}]", at, batches);
  if (!labels_.empty())
    text += fmt::format("  Top1 {:6.2f}  Top5 {:6.2f}  Loss {:.4f}",
                        100 * static_cast<double>(top1_) / done,
                        100 * static_cast<double>(top5_) / done, loss_ / done);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  const double rate = seconds > 0 ? done / seconds : 0;
  text += fmt::format("  {:.0f} images/s", rate);
  if (rate > 0) text += fmt::format("  {:.0f} s left", static_cast<double>(images_ - done_) / rate);
  return text;
}

}  // namespace widthwise
