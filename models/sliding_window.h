#pragma once
#include "core/workload.h"
#include "models/operator.h"

namespace widthwise {

// Of kernels, strides, dilations and pads.
inline constexpr int64_t kMaxWindowExtent = int64_t{1} << 20;

// A window that slides over the spatial axes of an ifmap [N, C, axes...], any number of them.
struct SlidingWindow {
  struct Axis {
    int64_t extent = 1, kernel = 1, stride = 1, dilation = 1;
    int64_t begin = 0, end = 0;  // pads, as stated or as auto_pad makes them
    int64_t ofmap = 1;
    int64_t span() const { return dilation * (kernel - 1) + 1; }
  };
  std::vector<Axis> axes;

  int64_t taps() const;  // kernel elements
  int64_t ifmap_pixels() const;
  int64_t ofmap_pixels() const;
  Shape ofmap_extents() const;
};

// A list attribute with an entry per spatial axis (`count` entries); refuses other lengths and
// values outside of low..kMaxWindowExtent.
std::vector<int64_t> read_window_list(const NodeView& node, const std::string& name, size_t count,
                                      int64_t otherwise, int64_t low);

// Reads strides, dilations, pads, auto_pad and ceil_mode of a window operator on input 0
// [N, C, axes...]; `kernel` is the kernel's shape.
//   ofmap extent = floor((extent + pads - dilation * (kernel - 1) - 1) / stride) + 1
// With ceil_mode it is rounded up, but no window starts beyond the ifmap and its first pad.
// Source: ONNX operators Conv, MaxPool, AveragePool.
SlidingWindow read_sliding_window(const NodeView& node, const std::vector<int64_t>& kernel);

// The window of a convolution of input 0 [N, C, axes...] with input `weight` [M, C / group,
// kernel...]; refuses other shapes.
SlidingWindow read_convolution_window(const NodeView& node, size_t weight);

// The same as a 2-D workload's window; a 1-D window has one row. Of three axes and more the window
// may slide over the last one only: the others are rows. Refuses the rest.
Window workload_window(const NodeView& node, const SlidingWindow& window, int64_t ofmap_channels);

// Refuses a window of which no tap lies inside the ifmap: its maximum is not defined.
void require_taps_inside(const NodeView& node, const Window& window);

// [N, ofmap channels, extents...] for the node's input 0.
Shape window_ofmap_shape(const NodeView& node, const SlidingWindow& window, int64_t ofmap_channels);

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

// The taps of every ofmap pixel, row-major, that lie inside the ifmap: visit(pixel, taps), where
// a tap is its index in the kernel and the ifmap's pixel. `padded` is how many of the pixel's taps
// lie inside the ifmap or its stated pads (what count_include_pad divides by).
struct WindowTap {
  int64_t kernel, ifmap;
};
template <class Visit>
void for_each_pixel(const SlidingWindow& w, const Visit& visit) {
  const size_t rank = w.axes.size();
  std::vector<int64_t> pixel(rank, 0), tap(rank, 0);
  std::vector<WindowTap> taps;
  const auto next = [&](std::vector<int64_t>& index, auto extent) {
    for (size_t i = rank; i-- > 0;) {
      if (++index[i] < extent(w.axes[i])) return true;
      index[i] = 0;
    }
    return false;
  };
  const int64_t pixels = w.ofmap_pixels();
  for (int64_t p = 0; p < pixels; ++p) {
    taps.clear();
    int64_t padded = 0, k = 0;
    do {
      bool inside = true, in_pads = true;
      int64_t ifmap = 0;
      for (size_t i = 0; i < rank; ++i) {
        const SlidingWindow::Axis& a = w.axes[i];
        const int64_t at = pixel[i] * a.stride - a.begin + tap[i] * a.dilation;
        inside = inside && at >= 0 && at < a.extent;
        in_pads = in_pads && at < a.extent + a.end;
        if (inside) ifmap = ifmap * a.extent + at;
      }
      padded += in_pads;
      if (inside) taps.push_back({k, ifmap});
      ++k;
    } while (next(tap, [](const SlidingWindow::Axis& a) { return a.kernel; }));
    visit(p, taps, padded);
    next(pixel, [](const SlidingWindow::Axis& a) { return a.ofmap; });
  }
}

}  // namespace widthwise
