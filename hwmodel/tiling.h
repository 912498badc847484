#pragma once
#include <cstdint>

#include "core/workload.h"
#include "hwmodel/accelerator.h"

namespace widthwise {

// A matmul as the array sees it: per group an ofmap of `pixels` x `channels`, each a reduction over
// `reduction` products, cut into tiles of array.rows pixels and array.cols channels. The PEs of a
// row share their ifmap codes, the PEs of a column their weights (outer product). Groups run one
// after the other, so a depthwise layer uses one column.
struct Tiling {
  int64_t groups, pixels, channels, reduction;
  int64_t row_tiles, col_tiles;  // ceil(pixels / rows), ceil(channels / cols)

  int64_t ofmap_elements() const { return groups * pixels * channels; }
};

// Throws InputError for systolic_ws, whose reuse is another and is not modelled yet, and for
// workloads that are empty or whose counts do not fit: 2^52 products or ofmap bits, and more.
Tiling tile(const MatmulWorkload& workload, const Accelerator& accelerator);

// ceil(a / b) of non-negative a, positive b.
constexpr int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

}  // namespace widthwise
