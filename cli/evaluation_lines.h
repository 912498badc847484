#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>

namespace widthwise {

// A line every so many batches of a running evaluation, over the images that are done:
//   Test: [  10/  40]  Top1 92.18  Top5 99.80  Loss 0.2453  1540 images/s  5 s left
// Batches may come in any order and size, from many threads.
class EvaluationLines {
 public:
  using Print = std::function<void(const std::string& line)>;
  // batch, every: images of a batch, batches from line to line; both positive. Without labels there
  // is no accuracy to tell.
  EvaluationLines(int64_t images, std::span<const int32_t> labels, int64_t batch, int64_t every,
                  Print print);
  // The outputs of images [first, first + count).
  void add(int64_t first, int64_t count, std::span<const float> outputs);

 private:
  std::string line() const;

  const int64_t images_;
  const std::span<const int32_t> labels_;
  const int64_t batch_, every_;
  const Print print_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  int64_t done_ = 0, printed_ = 0;  // images; lines
  int64_t top1_ = 0, top5_ = 0;
  double loss_ = 0;
};

}  // namespace widthwise
