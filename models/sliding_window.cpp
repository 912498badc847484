#include "models/sliding_window.h"

#include <fmt/format.h>

#include <algorithm>

namespace widthwise {
namespace {

using Axis = SlidingWindow::Axis;

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
  if (axis.kernel < 1 || axis.kernel > kMaxWindowExtent || axis.span() > padded) {
    node.refuse("kernel_shape",
                fmt::format("{} spans {} elements, the padded ifmap has {}", shape_text(kernel),
                            axis.span(), padded),
                "use a smaller kernel or dilation, or a larger input");
  }
}

}  // namespace

std::vector<int64_t> read_window_list(const NodeView& node, const std::string& name, size_t count,
                                      int64_t otherwise, int64_t low) {
  const auto values = node.integers(name, std::vector<int64_t>(count, otherwise));
  if (values.size() != count) {
    node.refuse(name, fmt::format("has {} entries, needed {}", values.size(), count),
                "give one entry per spatial axis (pads: two)");
  }
  for (const int64_t value : values) {
    if (value < low || value > kMaxWindowExtent)
      node.refuse(name, fmt::format("holds {}, allowed {}..{}", value, low, kMaxWindowExtent),
                  "export the network again");
  }
  return values;
}

int64_t SlidingWindow::taps() const {
  int64_t product = 1;
  for (const Axis& axis : axes) product *= axis.kernel;
  return product;
}

int64_t SlidingWindow::ifmap_pixels() const {
  int64_t product = 1;
  for (const Axis& axis : axes) product *= axis.extent;
  return product;
}

Shape SlidingWindow::ofmap_extents() const {
  Shape extents;
  for (const Axis& axis : axes) extents.push_back(axis.ofmap);
  return extents;
}

int64_t SlidingWindow::ofmap_pixels() const {
  int64_t product = 1;
  for (const Axis& axis : axes) product *= axis.ofmap;
  return product;
}

SlidingWindow read_sliding_window(const NodeView& node, const std::vector<int64_t>& kernel) {
  const Shape& ifmap = node.shape(0);
  if (ifmap.size() < 3) {
    node.refuse("ifmap",
                fmt::format("has the shape {}, allowed are [N, C, L], [N, C, H, W] and more axes",
                            shape_text(ifmap)),
                "reshape the data to have a batch, channels and spatial axes");
  }
  const size_t rank = ifmap.size() - 2;
  if (kernel.size() != rank) {
    node.refuse("kernel_shape",
                fmt::format("{} has {} axes, the ifmap has {} spatial axes", shape_text(kernel),
                            kernel.size(), rank),
                "give one extent per spatial axis");
  }
  const int64_t ceil_mode = node.integer("ceil_mode", 0);
  if (ceil_mode != 0 && ceil_mode != 1)
    node.refuse("ceil_mode", fmt::format("is {}, allowed 0 or 1", ceil_mode), "correct it");
  const auto strides = read_window_list(node, "strides", rank, 1, 1);
  const auto dilations = read_window_list(node, "dilations", rank, 1, 1);
  const std::string mode = node.text("auto_pad", "NOTSET");
  if (std::find(ifmap.begin() + 2, ifmap.end(), 0) != ifmap.end())
    node.refuse("ifmap", fmt::format("has the shape {}, without pixels", shape_text(ifmap)),
                "use extents of 1 or more");
  if (mode != "NOTSET" && node.has("pads")) {
    const auto stated = node.integers("pads", {});
    if (std::any_of(stated.begin(), stated.end(), [](int64_t pad) { return pad != 0; }))
      node.refuse("pads", fmt::format("are given although auto_pad is {}", mode),
                  "keep one of them");
  }
  const auto pads = read_window_list(node, "pads", 2 * rank, 0, 0);
  SlidingWindow window;
  for (size_t i = 0; i < rank; ++i) {
    Axis axis{ifmap[2 + i], kernel[i], strides[i], dilations[i], pads[i], pads[rank + i], 1};
    if (axis.kernel < 1 || axis.kernel > kMaxWindowExtent) check_axis(node, kernel, axis);
    if (mode != "NOTSET") apply_auto_pad(node, mode, axis);
    check_axis(node, kernel, axis);
    const int64_t room = axis.extent + axis.begin + axis.end - axis.span();
    axis.ofmap = (room + (ceil_mode != 0 ? axis.stride - 1 : 0)) / axis.stride + 1;
    if ((axis.ofmap - 1) * axis.stride >= axis.extent + axis.begin && axis.ofmap > 1 &&
        ceil_mode != 0)
      --axis.ofmap;
    window.axes.push_back(axis);
  }
  if (shape_elements(kernel) < 0)
    node.refuse("kernel_shape",
                fmt::format("{} has more than {} taps", shape_text(kernel), kMaxTensorElements),
                "use a smaller kernel");
  return window;
}

SlidingWindow read_convolution_window(const NodeView& node, size_t weight_input) {
  const Shape &ifmap = node.shape(0), &weight = node.shape(weight_input);
  const int64_t groups = node.integer("group", 1);
  if (weight.size() != ifmap.size() || weight.size() < 3) {
    node.refuse("weight",
                fmt::format("has the shape {} for an ifmap of {}; allowed are convolutions over "
                            "all axes after the channels",
                            shape_text(weight), shape_text(ifmap)),
                "export the network again");
  }
  if (groups < 1 || ifmap[1] % groups != 0 || weight[0] % groups != 0 ||
      weight[1] != ifmap[1] / groups) {
    node.refuse("group",
                fmt::format("is {} for {} channels and a weight of {}; allowed are divisors of "
                            "both with weight [M, C / group, ...]",
                            groups, ifmap[1], shape_text(weight)),
                "export the network again");
  }
  const std::vector<int64_t> kernel(weight.begin() + 2, weight.end());
  if (node.integers("kernel_shape", kernel) != kernel) {
    node.refuse("kernel_shape",
                fmt::format("differs from the weight's shape {}", shape_text(weight)),
                "leave it out, or correct it");
  }
  return read_sliding_window(node, kernel);
}

Window workload_window(const NodeView& node, const SlidingWindow& window, int64_t ofmap_channels) {
  const Shape& ifmap = node.shape(0);
  const size_t rank = window.axes.size();
  Axis rows, cols = window.axes[rank - 1];
  if (rank == 2) rows = window.axes[0];
  if (rank > 2) {
    for (size_t i = 0; i + 1 < rank; ++i) {
      const Axis& axis = window.axes[i];
      if (axis.kernel != 1 || axis.stride != 1 || axis.begin != 0 || axis.end != 0) {
        node.refuse("ifmap",
                    fmt::format("has the shape {}, allowed are windows over one or two axes: "
                                "[N, C, L] or [N, C, H, W]",
                                shape_text(ifmap)),
                    "reshape 3-D data, or split it");
      }
      rows.extent *= axis.extent;
    }
    rows.ofmap = rows.extent;
  }
  // ceil_mode: windows that reach beyond the stated pads, or pads in which no window may begin.
  for (Axis* axis : {&rows, &cols}) {
    const int64_t reached =
        (axis->ofmap - 1) * axis->stride + axis->span() - axis->begin - axis->extent;
    const int64_t room = axis->extent + axis->begin + axis->end - axis->span();
    if (reached > axis->end || room / axis->stride >= axis->ofmap)
      axis->end = std::max<int64_t>(reached, 0);
  }
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
      // The first tap that is not before the ifmap is within it.
      const int64_t first = o * stride - pad;
      const int64_t k = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
      if (k >= kernel || first + k * dilation >= extent)
        node.refuse("pads", "let a window lie outside the ifmap", "use pads below the kernel");
    }
  };
  check(w.ifmap_rows, w.ofmap_rows, w.kernel_rows, w.stride_rows, w.dilation_rows, w.pad_top);
  check(w.ifmap_cols, w.ofmap_cols, w.kernel_cols, w.stride_cols, w.dilation_cols, w.pad_left);
}

Shape window_ofmap_shape(const NodeView& node, const SlidingWindow& window,
                         int64_t ofmap_channels) {
  Shape shape = {node.shape(0)[0], ofmap_channels};
  for (const Axis& axis : window.axes) shape.push_back(axis.ofmap);
  return shape;
}

}  // namespace widthwise
