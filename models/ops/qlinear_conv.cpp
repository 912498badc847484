#include <fmt/format.h>

#include "models/ops/quantized.h"

namespace widthwise {
namespace {

enum Input { kX, kXScale, kXZeroPoint, kW, kWScale, kWZeroPoint, kYScale, kYZeroPoint, kBias };

std::vector<Shape> infer_shape(const NodeView& node) { return {convolution_shape(node, kW)}; }

std::vector<IntegerMatmul> matmuls(const NodeView& node) {
  const ElementType ifmap = node.tensor(kX, "x").type(), weight = node.tensor(kW, "w").type();
  return {convolution_matmul(node, kW, read_zero_point(node, kXZeroPoint, "x_zero_point", ifmap),
                             read_zero_points(node, kWZeroPoint, "w_zero_point", weight),
                             read_bias(node, kBias, node.shape(kW)[0]))};
}

std::vector<Tensor> finish(const NodeView& node, std::span<const int64_t> sums,
                           const RequantizeConfig& config) {
  const Shape shape = convolution_shape(node, kW);
  const float ifmap_scale = read_scale(node, kXScale, "x_scale");
  std::vector<float> weight_scales = read_scales(node, kWScale, "w_scale");
  const OutputCodes output =
      read_output_codes(node, kYScale, kYZeroPoint, node.tensor(kX, "x").type());
  const auto channels = static_cast<size_t>(shape[1]);
  if (weight_scales.size() == 1) weight_scales.resize(channels, weight_scales[0]);
  if (weight_scales.size() != channels) {
    node.refuse("w_scale",
                fmt::format("has {} values, allowed 1 or {}", weight_scales.size(), channels),
                "give one per output channel");
  }
  std::vector<Requantizer> requantizers;
  for (const float scale : weight_scales)
    requantizers.push_back(make_requantizer(node, config, ifmap_scale, scale, output));
  size_t pixels = 1;
  for (size_t i = 2; i < shape.size(); ++i) pixels *= static_cast<size_t>(shape[i]);
  std::vector<int32_t> codes(sums.size());
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = requantizers[i / pixels % channels](sums[i]);
  return {code_tensor(node, output.type, shape, codes)};
}

constexpr MacOperator kMac{matmuls, finish};
std::vector<Tensor> evaluate(const NodeView& node) { return evaluate_mac(node, kMac); }

}  // namespace

// QLinearConv: acc = sum of (x - x_zero_point) * (w - w_zero_point) + bias, requantized by
// x_scale * w_scale / y_scale per output channel; 1-D and 2-D. q_min and q_max are no part of the
// standard. Source: ONNX operator, opset 10.
extern const Operator kQLinearConv;
const Operator kQLinearConv{
    "QLinearConv",
    {"auto_pad", "dilations", "group", "kernel_shape", "pads", "q_max", "q_min", "strides"},
    8,
    9,
    infer_shape,
    evaluate,
    nullptr,
    &kMac};

}  // namespace widthwise
