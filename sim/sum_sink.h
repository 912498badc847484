#pragma once
#include <vector>

#include "sim/packed_matmul.h"

namespace widthwise {

// Keeps the sums of a matmul, [images, oc, pixels], and its counts of overflowing additions where
// the mode makes them.
class SumSink : public PanelSink {
 public:
  SumSink(const Window& window, int64_t images)
      : sums(static_cast<size_t>(images * window.ofmap_elements())), window_(window) {}
  std::vector<int32_t> sums;
  std::vector<int32_t> overflows;  // empty if no panel brought counts

  void panel(int64_t channel, int64_t first, int64_t count, const PanelSums& from) override {
    if (from.counts != nullptr) overflows.resize(sums.size());
    for_each_part(window_, channel, first, count, [&](int64_t at, int64_t to, int64_t length) {
      std::copy_n(from.sums + at, length, sums.begin() + to);
      if (from.counts != nullptr) std::copy_n(from.counts + at, length, overflows.begin() + to);
    });
  }

 private:
  const Window& window_;
};

}  // namespace widthwise
