#include "models/ops/quantized.h"

namespace widthwise {
namespace {

enum Input { kX, kW, kXZeroPoint, kWZeroPoint, kBias };

std::vector<Shape> infer_shape(const NodeView& node) { return {convolution_shape(node, kW)}; }

std::vector<IntegerMatmul> matmuls(const NodeView& node) {
  const ElementType ifmap = node.tensor(kX, "x").type(), weight = node.tensor(kW, "w").type();
  return {convolution_matmul(node, kW, read_zero_point(node, kXZeroPoint, "x_zero_point", ifmap),
                             read_zero_points(node, kWZeroPoint, "w_zero_point", weight),
                             read_bias(node, kBias, node.shape(kW)[0]))};
}

std::vector<Tensor> finish(const NodeView& node, std::span<const int64_t> sums,
                           const RequantizeConfig&) {
  return {int32_tensor(node, convolution_shape(node, kW), sums)};
}

constexpr MacOperator kMac{matmuls, finish};
std::vector<Tensor> evaluate(const NodeView& node) { return evaluate_mac(node, kMac); }

}  // namespace

// ConvInteger: sums of (x - x_zero_point) * (w - w_zero_point) in int32, 1-D and 2-D; a weight's
// zero point may be one per output channel. Input 4 is no part of the standard: int32 [M], added.
// Source: ONNX operator, opset 10.
extern const Operator kConvInteger;
const Operator kConvInteger{"ConvInteger",
                            {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
                            2,
                            5,
                            infer_shape,
                            evaluate,
                            nullptr,
                            &kMac};

}  // namespace widthwise
