#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/workload.h"

namespace widthwise {

// The peer: oneDNN's u8 x s8 convolution of one layer, one thread, weights packed once. It gives
// the exact sums, or codes that it rescales by a float per channel, and tells nothing of overflow.
class OneDnnConvolution {
 public:
  enum class Ofmap { kSums, kCodes };
  OneDnnConvolution(const MatmulWorkload& workload, int64_t images,
                    const std::vector<int32_t>& weights, Ofmap ofmap);
  ~OneDnnConvolution();
  OneDnnConvolution(OneDnnConvolution&&) noexcept;
  // codes: [images, ic, rows, cols]; reordered to oneDNN's own layout outside of run().
  void set_ifmap(const std::vector<int32_t>& codes);
  void run();
  std::vector<int32_t> sums() const;  // [images, oc, rows, cols], of kSums

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace widthwise
