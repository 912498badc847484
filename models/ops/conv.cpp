#include <fmt/format.h>

#include "models/lowering.h"
#include "models/sliding_window.h"

namespace widthwise {
namespace {

MatmulWorkload workload(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "ifmap");
  const Shape& weight = node.float_constant(1, "weight").shape;
  const int64_t groups = node.integer("group", 1);
  if (weight.size() != ifmap.size() || weight.size() < 3) {
    node.refuse("weight",
                fmt::format("has the shape {} for an ifmap of {}; allowed are 1-D and 2-D "
                            "convolutions",
                            shape_text(weight), shape_text(ifmap)),
                "use Conv1d or Conv2d");
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
  if (node.has_input(2) && node.float_constant(2, "bias").shape != Shape{weight[0]}) {
    node.refuse("bias",
                fmt::format("has the shape {}, needed [{}]", shape_text(node.shape(2)), weight[0]),
                "export the network again");
  }
  return {.window = read_window(node, kernel, weight[0]), .groups = groups};
}

std::vector<Shape> infer_shape(const NodeView& node) {
  return {window_ofmap_shape(node, workload(node).window)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  FloatLayer layer;
  layer.workload = workload(node);
  layer.weights = node.float_constant(1, "weight").floats;
  if (node.has_input(2)) layer.bias = node.float_constant(2, "bias").floats;
  builder.add(node, std::move(layer));
}

std::vector<Values> reference(const NodeView& node, const std::vector<Values>& inputs) {
  const MatmulWorkload matmul = workload(node);
  const Window& w = matmul.window;
  const int64_t pixels = w.ifmap_rows * w.ifmap_cols, taps = w.kernel_rows * w.kernel_cols;
  Values ofmap;
  for (int64_t oc = 0; oc < w.ofmap_channels; ++oc) {
    const int64_t first = oc / matmul.group_ofmap_channels() * matmul.group_ifmap_channels();
    for (int64_t row = 0; row < w.ofmap_rows; ++row) {
      for (int64_t col = 0; col < w.ofmap_cols; ++col) {
        double sum = node.has_input(2) ? inputs[2][static_cast<size_t>(oc)] : 0;
        for (int64_t ic = 0; ic < matmul.group_ifmap_channels(); ++ic) {
          const double* image = inputs[0].data() + (first + ic) * pixels;
          const double* kernel = inputs[1].data() + oc * matmul.reduction_length() + ic * taps;
          for_each_tap(w, row, col, [&](int64_t k, int64_t i) { sum += image[i] * kernel[k]; });
        }
        ofmap.push_back(sum);
      }
    }
  }
  return {ofmap};
}

}  // namespace

// Conv: ifmap [N, C, (H,) W], constant weight [M, C / group, (KH,) KW], optional constant bias [M]
// -> ofmap [N, M, (OH,) OW]. Source: ONNX operator, opsets 1, 11.
extern const Operator kConv;
const Operator kConv{
    "Conv",      {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
    2,           3,
    infer_shape, lower,
    reference};

}  // namespace widthwise
