#include <algorithm>
#include <limits>

#include "models/lowering.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

Window window(const NodeView& node) {
  node.require("storage_order", 0, "use row-major order");
  const Shape& ifmap = node.activation(0, "ifmap");
  const Window w =
      read_window(node, node.integers("kernel_shape", {}), ifmap.size() > 1 ? ifmap[1] : 1);
  require_taps_inside(node, w);
  return w;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  return {window_ofmap_shape(node, window(node))};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  FloatLayer layer;
  layer.workload = MaxPoolWorkload{window(node)};
  builder.add(node, std::move(layer));
}

std::vector<Values> reference(const NodeView& node, const std::vector<Values>& inputs) {
  const Window w = window(node);
  Values ofmap;
  for (int64_t c = 0; c < w.ofmap_channels; ++c) {
    const double* image = inputs[0].data() + c * w.ifmap_rows * w.ifmap_cols;
    for (int64_t row = 0; row < w.ofmap_rows; ++row) {
      for (int64_t col = 0; col < w.ofmap_cols; ++col) {
        double largest = -std::numeric_limits<double>::infinity();
        for_each_tap(w, row, col,
                     [&](int64_t, int64_t i) { largest = std::max(largest, image[i]); });
        ofmap.push_back(largest);
      }
    }
  }
  return {ofmap};
}

}  // namespace

// MaxPool: ifmap [N, C, (H,) W] -> ofmap [N, C, (OH,) OW]; padded taps do not take part. The second
// output (indices) is not supported. Source: ONNX operator, opsets 1, 8, 10, 11, 12.
extern const Operator kMaxPool;
const Operator kMaxPool{
    "MaxPool",
    {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"},
    1,
    1,
    infer_shape,
    lower,
    reference};

}  // namespace widthwise
