#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace widthwise {

// Every operator lowers to one of these; the later stages know nothing else. All shapes are of one
// image: the batch is never part of a workload. Tensors are channel-major (C, H, W).

// Geometry of a window that slides over an ifmap [channels, rows, cols].
struct Window {
  int64_t ifmap_channels = 1, ifmap_rows = 1, ifmap_cols = 1;
  int64_t ofmap_channels = 1, ofmap_rows = 1, ofmap_cols = 1;
  int64_t kernel_rows = 1, kernel_cols = 1;
  int64_t stride_rows = 1, stride_cols = 1;
  int64_t dilation_rows = 1, dilation_cols = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;

  int64_t ifmap_elements() const { return ifmap_channels * ifmap_rows * ifmap_cols; }
  int64_t ofmap_elements() const { return ofmap_channels * ofmap_rows * ofmap_cols; }
  int64_t ofmap_pixels() const { return ofmap_rows * ofmap_cols; }
  bool operator==(const Window&) const = default;
};

// Convolution, or a fully connected layer as a 1x1 convolution over 1x1 pixels. Weights are
// [ofmap_channels, ifmap_channels / groups, kernel_rows, kernel_cols].
struct MatmulWorkload {
  Window window;
  int64_t groups = 1;
  bool unit_weights = false;  // every weight is 1 (average pooling): additions only, no multipliers

  int64_t group_ifmap_channels() const { return window.ifmap_channels / groups; }
  int64_t group_ofmap_channels() const { return window.ofmap_channels / groups; }
  // K: products per output, padded taps included.
  int64_t reduction_length() const {
    return group_ifmap_channels() * window.kernel_rows * window.kernel_cols;
  }
  // Where a weight is; channel: of the group's ifmap channels.
  int64_t weight_index(int64_t ofmap_channel, int64_t channel, int64_t row, int64_t col) const {
    return ((ofmap_channel * group_ifmap_channels() + channel) * window.kernel_rows + row) *
               window.kernel_cols +
           col;
  }
  int64_t weight_elements() const { return window.ofmap_channels * reduction_length(); }
  // Multiply-accumulates, padded taps included; 0 for unit weights.
  int64_t macs() const { return unit_weights ? 0 : additions(); }
  // Additions into accumulators, padded taps included.
  int64_t additions() const { return window.ofmap_elements() * reduction_length(); }
  bool operator==(const MatmulWorkload&) const = default;
};

// Maximum over the window's taps inside the ifmap; channels are independent.
struct MaxPoolWorkload {
  Window window;
  bool operator==(const MaxPoolWorkload&) const = default;
};

// kAdd: sum of two tensors of one shape. kClamp: one tensor, limited to the layer's range.
struct ElementwiseWorkload {
  enum class Kind { kAdd, kClamp };
  Kind kind = Kind::kAdd;
  int64_t elements = 0;
  bool operator==(const ElementwiseWorkload&) const = default;
};

// Data movement (concat, split, slice, reshape, transpose, flatten): ofmap[i] is element source[i]
// of the inputs laid end to end. input_elements has one entry per input.
struct MoveWorkload {
  std::vector<int64_t> input_elements;
  std::vector<int64_t> source;
  bool operator==(const MoveWorkload&) const = default;
};

using Workload = std::variant<MatmulWorkload, MaxPoolWorkload, ElementwiseWorkload, MoveWorkload>;

inline int64_t ofmap_elements(const Workload& workload) {
  struct Visitor {
    int64_t operator()(const MatmulWorkload& w) const { return w.window.ofmap_elements(); }
    int64_t operator()(const MaxPoolWorkload& w) const { return w.window.ofmap_elements(); }
    int64_t operator()(const ElementwiseWorkload& w) const { return w.elements; }
    int64_t operator()(const MoveWorkload& w) const {
      return static_cast<int64_t>(w.source.size());
    }
  };
  return std::visit(Visitor{}, workload);
}

}  // namespace widthwise
