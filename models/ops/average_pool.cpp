#include <fmt/format.h>

#include "models/lowering.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

bool global(const NodeView& node) { return node.node().op_type == "GlobalAveragePool"; }

Window window(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "ifmap");
  const int64_t channels = ifmap.size() > 1 ? ifmap[1] : 1;
  if (global(node) && ifmap.size() >= 2)
    return read_window(node, {ifmap.begin() + 2, ifmap.end()}, channels);
  const Window w = read_window(node, node.integers("kernel_shape", {}), channels);
  const int64_t counted = node.integer("count_include_pad", 0);
  if (w.pad_top + w.pad_left + w.pad_bottom + w.pad_right != 0 && counted == 0) {
    node.refuse("pads", "with count_include_pad=0 divide border pixels by less than the others",
                "allowed are no pads, or count_include_pad=1");
  }
  return w;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  return {window_ofmap_shape(node, window(node))};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const Window w = window(node);
  const MatmulWorkload matmul{.window = w, .groups = w.ifmap_channels, .unit_weights = true};
  FloatLayer layer;
  layer.workload = matmul;
  layer.weights.assign(static_cast<size_t>(matmul.weight_elements()),
                       1.0f / static_cast<float>(w.kernel_rows * w.kernel_cols));
  builder.add(node, std::move(layer));
}

std::vector<Values> reference(const NodeView& node, const std::vector<Values>& inputs) {
  const Window w = window(node);
  const auto taps = static_cast<double>(w.kernel_rows * w.kernel_cols);
  Values ofmap;
  for (int64_t c = 0; c < w.ofmap_channels; ++c) {
    const double* image = inputs[0].data() + c * w.ifmap_rows * w.ifmap_cols;
    for (int64_t row = 0; row < w.ofmap_rows; ++row) {
      for (int64_t col = 0; col < w.ofmap_cols; ++col) {
        double sum = 0;
        for_each_tap(w, row, col, [&](int64_t, int64_t i) { sum += image[i]; });
        ofmap.push_back(sum / taps);
      }
    }
  }
  return {ofmap};
}

}  // namespace

// AveragePool, GlobalAveragePool: ifmap [N, C, (H,) W] -> ofmap [N, C, (OH,) OW]. The sum runs on
// the array with weights of 1; the division is the requantizer's, so every window must divide by
// the same number. Source: ONNX operators, opsets 1, 7, 10, 11, 19.
extern const Operator kAveragePool, kGlobalAveragePool;
const Operator kAveragePool{
    "AveragePool",
    {"auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"},
    1,
    1,
    infer_shape,
    lower,
    reference};
const Operator kGlobalAveragePool{"GlobalAveragePool", {}, 1, 1, infer_shape, lower, reference};

}  // namespace widthwise
