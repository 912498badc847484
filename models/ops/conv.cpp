#include <fmt/format.h>

#include "models/evaluation.h"
#include "models/lowering.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

SlidingWindow window(const NodeView& node) {
  node.activation(0, "ifmap");
  const SlidingWindow w = read_convolution_window(node, 1);
  if (node.one_image() && w.axes.size() > 2)
    node.refuse("weight",
                fmt::format("has the shape {}; allowed are 1-D and 2-D convolutions",
                            shape_text(node.shape(1))),
                "use Conv1d or Conv2d");
  return w;
}

void check_bias(const NodeView& node) {
  if (!node.has_input(2) || node.shape(2) == Shape{node.shape(1)[0]}) return;
  node.refuse(
      "bias",
      fmt::format("has the shape {}, needed [{}]", shape_text(node.shape(2)), node.shape(1)[0]),
      "export the network again");
}

std::vector<Shape> infer_shape(const NodeView& node) {
  if (node.one_image()) {
    node.float_constant(1, "weight");
    if (node.has_input(2)) node.float_constant(2, "bias");
  }
  const SlidingWindow w = window(node);
  check_bias(node);
  return {window_ofmap_shape(node, w, node.shape(1)[0])};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  FloatLayer layer;
  const auto weights = node.float_constant(1, "weight").values<float>();
  layer.workload = MatmulWorkload{.window = workload_window(node, window(node), node.shape(1)[0]),
                                  .groups = node.integer("group", 1)};
  layer.weights.assign(weights.begin(), weights.end());
  if (node.has_input(2)) {
    const auto bias = node.float_constant(2, "bias").values<float>();
    layer.bias.assign(bias.begin(), bias.end());
  }
  builder.add(node, std::move(layer));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const SlidingWindow w = window(node);
  const Tensor &ifmap = node.tensor(0, "ifmap"), &weight = node.tensor(1, "weight");
  const int64_t images = ifmap.shape()[0], channels = weight.shape()[0],
                group_in = weight.shape()[1], group_out = channels / node.integer("group", 1);
  const int64_t in_pixels = w.ifmap_pixels(), out_pixels = w.ofmap_pixels(), kernel = w.taps();
  Tensor ofmap = node.output(ifmap.type(), infer_shape(node)[0]);
  require_one_type(node, ifmap, weight);
  visit_real(node, ifmap, [&](auto stored) {
    using T = decltype(stored);
    const auto x = ifmap.values<T>(), k = weight.values<T>();
    const auto y = ofmap.write<T>();
    const auto bias = node.has_input(2) ? node.tensor(2, "bias").reals()
                                        : std::vector<double>(static_cast<size_t>(channels), 0);
    for_each_pixel(w, [&](int64_t pixel, const std::vector<WindowTap>& taps, int64_t) {
      for (int64_t image = 0; image < images; ++image) {
        for (int64_t oc = 0; oc < channels; ++oc) {
          double sum = bias[static_cast<size_t>(oc)];
          for (int64_t ic = 0; ic < group_in; ++ic) {
            const int64_t plane = image * ifmap.shape()[1] + oc / group_out * group_in + ic;
            const T* from = x.data() + plane * in_pixels;
            const T* by = k.data() + (oc * group_in + ic) * kernel;
            for (const WindowTap& tap : taps)
              sum += static_cast<double>(from[tap.ifmap]) * static_cast<double>(by[tap.kernel]);
          }
          y[static_cast<size_t>((image * channels + oc) * out_pixels + pixel)] =
              static_cast<T>(sum);
        }
      }
    });
  });
  return {ofmap};
}

}  // namespace

// Conv: ifmap [N, C, axes...], weight [M, C / group, kernel...], optional bias [M] -> ofmap
// [N, M, axes...]. As a layer: one or two axes, weight and bias constant. Source: ONNX operator,
// opsets 1, 11, 22.
extern const Operator kConv;
const Operator kConv{
    "Conv",      {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
    2,           3,
    infer_shape, evaluate,
    lower};

}  // namespace widthwise
