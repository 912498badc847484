#pragma once
#include "core/workload.h"
#include "models/operator.h"

namespace widthwise {

// Reads strides, dilations, pads, auto_pad and ceil_mode of a 1-D or 2-D window operator on input 0
// [1, C, (rows,) cols]; a 1-D window has one row. `kernel` is the kernel's shape, `ofmap_channels`
// what the operator makes of C. ofmap extent = floor((extent + pads - dilation * (kernel - 1) - 1)
// / stride) + 1. Source: ONNX operators Conv, MaxPool, AveragePool.
Window read_window(const NodeView& node, const std::vector<int64_t>& kernel,
                   int64_t ofmap_channels);

// Refuses a window of which no tap lies inside the ifmap: its maximum is not defined.
void require_taps_inside(const NodeView& node, const Window& window);

// [1, ofmap channels, (rows,) cols] with the rank of the node's input 0.
Shape window_ofmap_shape(const NodeView& node, const Window& window);

// Calls tap(k, i) for every tap k = kernel_row * kernel_cols + kernel_col of ofmap pixel
// (row, col) that lies inside the ifmap, where i is the ifmap's pixel index.
template <class Tap>
void for_each_tap(const Window& w, int64_t row, int64_t col, const Tap& tap) {
  for (int64_t kr = 0; kr < w.kernel_rows; ++kr) {
    const int64_t r = row * w.stride_rows - w.pad_top + kr * w.dilation_rows;
    if (r < 0 || r >= w.ifmap_rows) continue;
    for (int64_t kc = 0; kc < w.kernel_cols; ++kc) {
      const int64_t c = col * w.stride_cols - w.pad_left + kc * w.dilation_cols;
      if (c >= 0 && c < w.ifmap_cols) tap(kr * w.kernel_cols + kc, r * w.ifmap_cols + c);
    }
  }
}

}  // namespace widthwise
