#include <fmt/format.h>

#include "models/evaluation.h"
#include "models/lowering.h"
#include "models/node_work.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

bool global(const NodeView& node) { return node.node().op_type == "GlobalAveragePool"; }

SlidingWindow window(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "ifmap");
  if (!global(node)) return read_sliding_window(node, node.integers("kernel_shape", {}));
  if (ifmap.size() < 3) return read_sliding_window(node, {});
  return read_sliding_window(node, {ifmap.begin() + 2, ifmap.end()});
}

bool counts_pads(const NodeView& node) { return node.integer("count_include_pad", 0) != 0; }

// As a layer every window must divide by the same number.
Window layer_window(const NodeView& node) {
  const SlidingWindow sliding = window(node);
  const Window w = workload_window(node, sliding, node.shape(0)[1]);
  bool pads = false, beyond = false;
  for (size_t i = 0; i < sliding.axes.size(); ++i) {
    const SlidingWindow::Axis& a = sliding.axes[i];
    pads = pads || a.begin + a.end != 0;
    beyond = beyond || (a.ofmap - 1) * a.stride + a.span() > a.begin + a.extent + a.end;
  }
  if (beyond) {
    node.refuse("ceil_mode", "lets windows reach beyond the pads, which divide by less",
                "use ceil_mode=0 and pads that give the same size");
  }
  if (pads && !counts_pads(node)) {
    node.refuse("pads", "with count_include_pad=0 divide border pixels by less than the others",
                "allowed are no pads, or count_include_pad=1");
  }
  return w;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  if (node.one_image()) layer_window(node);
  const SlidingWindow w = window(node);  // checks the rank
  return {window_ofmap_shape(node, w, node.shape(0)[1])};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const Window w = layer_window(node);
  const MatmulWorkload matmul{.window = w, .groups = w.ifmap_channels, .unit_weights = true};
  builder.reserve(node, real_elements({w.ofmap_channels, w.kernel_rows, w.kernel_cols}));
  FloatLayer layer;
  layer.workload = matmul;
  layer.weights.assign(static_cast<size_t>(matmul.weight_elements()),
                       1.0f / static_cast<float>(w.kernel_rows * w.kernel_cols));
  builder.add(node, std::move(layer));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const SlidingWindow w = window(node);
  const Tensor& ifmap = node.tensor(0, "ifmap");
  Tensor ofmap = node.output(ifmap.type(), window_ofmap_shape(node, w, ifmap.shape()[1]));
  const int64_t planes = ifmap.shape()[0] * ifmap.shape()[1], pixels = w.ofmap_pixels();
  visit_real(node, ifmap, [&](auto stored) {
    using T = decltype(stored);
    const auto from = ifmap.values<T>();
    const auto to = ofmap.write<T>();
    for_each_pixel(w, [&](int64_t pixel, const std::vector<WindowTap>& taps, int64_t padded) {
      const int64_t count = counts_pads(node) ? padded : static_cast<int64_t>(taps.size());
      for (int64_t plane = 0; plane < planes; ++plane) {
        double sum = 0;
        for (const WindowTap& tap : taps)
          sum +=
              static_cast<double>(from[static_cast<size_t>(plane * w.ifmap_pixels() + tap.ifmap)]);
        to[static_cast<size_t>(plane * pixels + pixel)] =
            static_cast<T>(sum / static_cast<double>(count));
      }
    });
  });
  return {ofmap};
}

}  // namespace

// AveragePool, GlobalAveragePool: ifmap [N, C, axes...] -> ofmap [N, C, axes...]. As a
// layer the sum runs on the array with weights of 1; the division is the requantizer's, so every
// window must divide by the same number. Source: ONNX operators, opsets 1, 7, 10, 11, 19.
extern const Operator kAveragePool, kGlobalAveragePool;
const Operator kAveragePool{
    "AveragePool",
    {"auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"},
    1,
    1,
    infer_shape,
    evaluate,
    lower};
const Operator kGlobalAveragePool{"GlobalAveragePool", {}, 1, 1, infer_shape, evaluate, lower};

}  // namespace widthwise
