#include <algorithm>

#include "models/ops/quantized.h"
#include "models/ops/quantized_matmul.h"

namespace widthwise {
namespace {

enum Input { kX, kXScale, kXZeroPoint, kW, kWScale, kWZeroPoint, kBias };

// f32(acc) * f32(x scale * w scale).
float real_sum(int64_t sum, float ifmap_scale, float weight_scale) {
  return static_cast<float>(sum) * (ifmap_scale * weight_scale);
}

std::vector<Shape> infer_conv(const NodeView& node) { return {convolution_shape(node, kW)}; }

std::vector<IntegerMatmul> conv_matmuls(const NodeView& node) {
  const ElementType ifmap = node.tensor(kX, "x").type(), weight = node.tensor(kW, "w").type();
  return {convolution_matmul(node, kW, read_zero_point(node, kXZeroPoint, "x_zero_point", ifmap),
                             read_zero_points(node, kWZeroPoint, "w_zero_point", weight),
                             read_bias(node, kBias, node.shape(kW)[0]))};
}

std::vector<Tensor> finish_conv(const NodeView& node, std::span<const int64_t> sums,
                                const RequantizeConfig&) {
  const Shape shape = convolution_shape(node, kW);
  const float ifmap_scale = read_scale(node, kXScale, "x_scale");
  const std::vector<float> scales = read_scales(node, kWScale, "w_scale");
  const auto channels = static_cast<size_t>(shape[1]);
  size_t pixels = 1;
  for (size_t i = 2; i < shape.size(); ++i) pixels *= static_cast<size_t>(shape[i]);
  Tensor result = node.output(ElementType::kFloat, shape);
  const auto to = result.write<float>();
  for (size_t i = 0; i < to.size(); ++i) {
    const size_t channel = i / pixels % channels;
    to[i] = real_sum(sums[i], ifmap_scale, scales[scales.size() == 1 ? 0 : channel]);
  }
  return {result};
}

constexpr ProductInputs kProduct{kX, kXZeroPoint, kW, kWZeroPoint, kBias};

std::vector<Shape> infer_matmul(const NodeView& node) {
  return {product_extents(node, kProduct).result};
}

std::vector<IntegerMatmul> matmul_matmuls(const NodeView& node) {
  return code_matmuls(node, read_product(node, kProduct));
}

std::vector<Tensor> finish_matmul(const NodeView& node, std::span<const int64_t> sums,
                                  const RequantizeConfig&) {
  const MatmulExtents e = product_extents(node, kProduct);
  const std::vector<float> rows = row_scales(node, kXScale, "a_scale", e),
                           cols = column_scales(node, kWScale, "b_scale", e);
  Tensor result = node.output(ElementType::kFloat, e.result);
  const auto to = result.write<float>();
  const auto columns = static_cast<size_t>(e.cols),
             per_product = static_cast<size_t>(e.rows * e.cols);
  for (size_t i = 0; i < to.size(); ++i) {
    const size_t column = i / per_product * columns + i % columns;
    to[i] = real_sum(sums[i], rows[rows.size() == 1 ? 0 : i / columns],
                     cols[cols.size() == 1 ? 0 : column]);
  }
  return {result};
}

constexpr MacOperator kConvMac{conv_matmuls, finish_conv},
    kMatmulMac{matmul_matmuls, finish_matmul};
std::vector<Tensor> evaluate_conv(const NodeView& node) { return evaluate_mac(node, kConvMac); }
std::vector<Tensor> evaluate_matmul(const NodeView& node) { return evaluate_mac(node, kMatmulMac); }

}  // namespace

// ConvDequantized, MatMulDequantized: products of codes whose results are real numbers,
// f32(acc) * f32(x_scale * w_scale). Inputs as QLinearConv's up to the weight's zero point, then an
// int32 bias. fuse() makes them where no quantized output follows; ONNX Runtime's
// MatMulIntegerToFloat computes the same.
extern const Operator kConvDequantized, kMatMulDequantized;
const Operator kConvDequantized{
    "ConvDequantized",
    {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
    6,
    7,
    infer_conv,
    evaluate_conv,
    nullptr,
    &kConvMac,
    kOwnDomain};
const Operator kMatMulDequantized{
    "MatMulDequantized", {}, 6, 7, infer_matmul, evaluate_matmul, nullptr, &kMatmulMac, kOwnDomain};

}  // namespace widthwise
