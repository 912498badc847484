#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "models/network.h"

namespace widthwise {

// What a tensor's values are replaced by, as if they had become codes and been read back:
//   scale * clamp(rint(x / scale), low, high)    low, high: codes less the zero point
// scale 0: they stay as they are.
struct FakeQuantization {
  float scale = 0;
  float low = 0, high = 0;
};

// Runs a float network on batches of images with oneDNN. Primitives are created and weights
// reordered once; memory is that of max_batch images and does not grow with the number of runs.
//
// Threads: one executor per thread, each used by one thread at a time; parallelize over batches.
// oneDNN of Debian runs on OpenMP, and OpenMP's thread count is a setting of the calling thread, so
// the constructor and run() set it to 1 for their own duration: two executors in two TBB or std
// threads use two cores. Batches of 8 to 32 images keep the tensors in the cache.
//
// Sums are in float32 in an order that oneDNN chooses by the processor.
class FloatExecutor {
 public:
  // Receives a tensor of the network after it was written: index and [n, shape...] in row-major
  // order. The values are valid during the call only.
  using Observer = std::function<void(int tensor, std::span<const float> values)>;

  // The network must outlive it. fake: one per tensor, applied as it is written; or none.
  FloatExecutor(const FloatNetwork& network, int max_batch,
                std::vector<FakeQuantization> fake = {});
  ~FloatExecutor();
  FloatExecutor(FloatExecutor&&) noexcept;

  // Images [n, input shape...], 1 <= n <= max_batch -> the output tensor [n, shape...], valid until
  // the next run. The observer sees the input, then the output of every layer. A smaller n costs
  // as much as max_batch.
  std::span<const float> run(std::span<const float> images, int n, const Observer& observer = {});

  int max_batch() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace widthwise
