#include "models/sliding_window.h"

#include <fmt/format.h>

#include <algorithm>

namespace widthwise {
namespace {

constexpr int64_t kMaxExtent = int64_t{1} << 20;  // of kernels, strides, dilations and pads

// One spatial axis.
struct Axis {
  int64_t extent = 1, kernel = 1, stride = 1, dilation = 1, begin = 0, end = 0, ofmap = 1;
  int64_t span() const { return dilation * (kernel - 1) + 1; }
};

std::vector<int64_t> read_list(const NodeView& node, const std::string& name, size_t count,
                               int64_t otherwise, int64_t low) {
  const auto values = node.integers(name, std::vector<int64_t>(count, otherwise));
  if (values.size() != count) {
    node.refuse(name, fmt::format("has {} entries, needed {}", values.size(), count),
                "give one entry per spatial axis (pads: two)");
  }
  for (const int64_t value : values) {
    if (value < low || value > kMaxExtent)
      node.refuse(name, fmt::format("holds {}, allowed {}..{}", value, low, kMaxExtent),
                  "export the network again");
  }
  return values;
}

// auto_pad: SAME_* makes ofmap = ceil(extent / stride); an odd pad goes to the end for SAME_UPPER.
void apply_auto_pad(const NodeView& node, const std::string& mode, Axis& axis) {
  if (mode == "VALID") return;
  const int64_t ofmap = (axis.extent + axis.stride - 1) / axis.stride;
  const int64_t pads = std::max<int64_t>(0, (ofmap - 1) * axis.stride + axis.span() - axis.extent);
  axis.begin = mode == "SAME_UPPER" ? pads / 2 : pads - pads / 2;
  axis.end = pads - axis.begin;
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    node.refuse("auto_pad",
                fmt::format("is {}, allowed NOTSET, VALID, SAME_UPPER, SAME_LOWER", mode),
                "state the pads");
  }
}

void check_axis(const NodeView& node, const std::vector<int64_t>& kernel, const Axis& axis) {
  const int64_t padded = axis.extent + axis.begin + axis.end;
  if (axis.kernel < 1 || axis.kernel > kMaxExtent || axis.span() > padded) {
    node.refuse("kernel_shape",
                fmt::format("{} spans {} elements, the padded ifmap has {}", shape_text(kernel),
                            axis.span(), padded),
                "use a smaller kernel or dilation, or a larger input");
  }
}

}  // namespace

Window read_window(const NodeView& node, const std::vector<int64_t>& kernel,
                   int64_t ofmap_channels) {
  const Shape& ifmap = node.activation(0, "ifmap");
  if (ifmap.size() != 3 && ifmap.size() != 4) {
    node.refuse("ifmap",
                fmt::format("has the shape {}, allowed are 1-D and 2-D images: [N, C, L] "
                            "or [N, C, H, W]",
                            shape_text(ifmap)),
                "reshape 3-D data, or split it");
  }
  const size_t rank = ifmap.size() - 2;
  if (kernel.size() != rank) {
    node.refuse("kernel_shape",
                fmt::format("{} has {} axes, the ifmap has {} spatial axes", shape_text(kernel),
                            kernel.size(), rank),
                "give one extent per spatial axis");
  }
  node.require("ceil_mode", 0, "use ceil_mode=0 and pads that give the same size");
  const auto strides = read_list(node, "strides", rank, 1, 1);
  const auto dilations = read_list(node, "dilations", rank, 1, 1);
  const std::string mode = node.text("auto_pad", "NOTSET");
  if (mode != "NOTSET" && node.has("pads")) {
    node.refuse("pads", fmt::format("are given although auto_pad is {}", mode), "keep one of them");
  }
  const auto pads = read_list(node, "pads", 2 * rank, 0, 0);
  Axis axes[2];  // rows, cols
  for (size_t i = 0; i < rank; ++i) {
    Axis& axis = axes[2 - rank + i];
    axis = {ifmap[2 + i], kernel[i], strides[i], dilations[i], pads[i], pads[rank + i], 1};
    if (mode != "NOTSET") apply_auto_pad(node, mode, axis);
    check_axis(node, kernel, axis);
    axis.ofmap = (axis.extent + axis.begin + axis.end - axis.span()) / axis.stride + 1;
  }
  const auto& [rows, cols] = axes;
  return {.ifmap_channels = ifmap[1],
          .ifmap_rows = rows.extent,
          .ifmap_cols = cols.extent,
          .ofmap_channels = ofmap_channels,
          .ofmap_rows = rows.ofmap,
          .ofmap_cols = cols.ofmap,
          .kernel_rows = rows.kernel,
          .kernel_cols = cols.kernel,
          .stride_rows = rows.stride,
          .stride_cols = cols.stride,
          .dilation_rows = rows.dilation,
          .dilation_cols = cols.dilation,
          .pad_top = rows.begin,
          .pad_left = cols.begin,
          .pad_bottom = rows.end,
          .pad_right = cols.end};
}

void require_taps_inside(const NodeView& node, const Window& w) {
  const auto check = [&](int64_t extent, int64_t ofmap, int64_t kernel, int64_t stride,
                         int64_t dilation, int64_t pad) {
    for (int64_t o = 0; o < ofmap; ++o) {
      bool inside = false;
      for (int64_t k = 0; k < kernel && !inside; ++k) {
        const int64_t i = o * stride - pad + k * dilation;
        inside = i >= 0 && i < extent;
      }
      if (!inside)
        node.refuse("pads", "let a window lie outside the ifmap", "use pads below the kernel");
    }
  };
  check(w.ifmap_rows, w.ofmap_rows, w.kernel_rows, w.stride_rows, w.dilation_rows, w.pad_top);
  check(w.ifmap_cols, w.ofmap_cols, w.kernel_cols, w.stride_cols, w.dilation_cols, w.pad_left);
}

Shape window_ofmap_shape(const NodeView& node, const Window& window) {
  if (node.shape(0).size() == 3) return {1, window.ofmap_channels, window.ofmap_cols};
  return {1, window.ofmap_channels, window.ofmap_rows, window.ofmap_cols};
}

}  // namespace widthwise
