#pragma once
#include <cstdint>
#include <vector>

#include "core/integer_format.h"
#include "core/workload.h"

namespace widthwise {

// A reduction of integers over a batch: product k is (ifmap code - its zero point) *
// (weight code - its zero point), a padded tap's is 0; the bias is one integer per output channel.
struct IntegerMatmul {
  MatmulWorkload workload;  // of one image
  int64_t images = 1;
  IntegerFormat ifmap_format, weight_format;
  std::vector<int32_t> ifmap;  // codes [images, channels, rows, cols]
  int32_t ifmap_zero_point = 0;
  std::vector<int32_t> weights;             // codes [oc, ic / groups, kernel rows, kernel cols]
  std::vector<int32_t> weight_zero_points;  // none (all 0), one, or [oc]
  std::vector<int32_t> bias;                // [oc]; empty: none

  int64_t sums() const { return images * workload.window.ofmap_elements(); }
};

}  // namespace widthwise
