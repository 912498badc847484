#include <algorithm>
#include <limits>

#include "models/lowering.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

bool global(const NodeView& node) { return node.node().op_type == "GlobalMaxPool"; }

SlidingWindow window(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "ifmap");
  if (global(node)) {
    if (ifmap.size() < 3) return read_sliding_window(node, {});
    return read_sliding_window(node, {ifmap.begin() + 2, ifmap.end()});
  }
  return read_sliding_window(node, node.integers("kernel_shape", {}));
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const SlidingWindow w = window(node);
  if (node.one_image()) {
    node.require("storage_order", 0, "use row-major order");
    require_taps_inside(node, workload_window(node, w, node.shape(0)[1]));
  }
  std::vector<Shape> shapes = {window_ofmap_shape(node, w, node.shape(0)[1])};
  if (!global(node) && !node.one_image()) shapes.push_back(shapes[0]);
  return shapes;
}

void lower(const NodeView& node, LayerBuilder& builder) {
  FloatLayer layer;
  layer.workload = MaxPoolWorkload{workload_window(node, window(node), node.shape(0)[1])};
  builder.add(node, std::move(layer));
}

// The index that the second output gives a pixel of a plane: row-major, or column-major.
int64_t pixel_index(const SlidingWindow& w, int64_t pixel, bool column_major) {
  if (!column_major) return pixel;
  int64_t index = 0, stride = w.ifmap_pixels();
  for (size_t i = w.axes.size(); i-- > 0;) {
    stride /= w.axes[i].extent;
    index += pixel % w.axes[i].extent * stride;
    pixel /= w.axes[i].extent;
  }
  return index;
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const SlidingWindow w = window(node);
  const Tensor& ifmap = node.tensor(0, "ifmap");
  const bool column_major = node.integer("storage_order", 0) == 1;
  const Shape shape = window_ofmap_shape(node, w, ifmap.shape()[1]);
  Tensor ofmap = node.output(ifmap.type(), shape);
  Tensor indices = node.output(ElementType::kInt64, global(node) ? Shape{0} : shape);
  const int64_t planes = ifmap.shape()[0] * ifmap.shape()[1], pixels = w.ofmap_pixels();
  visit_type(ifmap.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto from = ifmap.values<T>();
    const auto to = ofmap.write<T>();
    const auto index = indices.write<int64_t>();
    for_each_pixel(w, [&](int64_t pixel, const std::vector<WindowTap>& taps, int64_t) {
      for (int64_t plane = 0; plane < planes; ++plane) {
        const int64_t base = plane * w.ifmap_pixels();
        T largest = std::numeric_limits<T>::lowest();
        int64_t best = taps.empty() ? 0 : taps[0].ifmap;
        for (const WindowTap& tap : taps) {
          const T value = from[static_cast<size_t>(base + tap.ifmap)];
          if (value <= largest) continue;
          largest = value;
          best = tap.ifmap;
        }
        const auto at = static_cast<size_t>(plane * pixels + pixel);
        to[at] = largest;
        if (!global(node)) index[at] = base + pixel_index(w, best, column_major);
      }
    });
  });
  if (global(node)) return {ofmap};
  return {ofmap, indices};
}

}  // namespace

// MaxPool, GlobalMaxPool: ifmap [N, C, axes...] -> ofmap [N, C, axes...]; padded taps do not take
// part. The second output, the indices of the maxima in the whole tensor, exists only where the
// network is run. Source: ONNX operators, MaxPool opsets 1, 8, 10, 11, 12, 22; GlobalMaxPool 1, 22.
extern const Operator kMaxPool, kGlobalMaxPool;
const Operator kMaxPool{
    "MaxPool",
    {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"},
    1,
    1,
    infer_shape,
    evaluate,
    lower};
const Operator kGlobalMaxPool{"GlobalMaxPool", {}, 1, 1, infer_shape, evaluate, lower};

}  // namespace widthwise
