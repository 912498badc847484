#include "models/ops/quantized_matmul.h"

namespace widthwise {
namespace {

enum Input { kA, kAScale, kAZeroPoint, kB, kBScale, kBZeroPoint, kYScale, kYZeroPoint, kBias };

constexpr ProductInputs kProduct{kA, kAZeroPoint, kB, kBZeroPoint, kBias};

std::vector<Shape> infer_shape(const NodeView& node) {
  return {product_extents(node, kProduct).result};
}

std::vector<IntegerMatmul> matmuls(const NodeView& node) {
  return code_matmuls(node, read_product(node, kProduct));
}

std::vector<Tensor> finish(const NodeView& node, std::span<const int64_t> sums,
                           const RequantizeConfig& config) {
  const MatmulExtents e = product_extents(node, kProduct);
  const OutputCodes output =
      read_output_codes(node, kYScale, kYZeroPoint, node.tensor(kA, "a").type());
  const std::vector<float> a_scales = row_scales(node, kAScale, "a_scale", e),
                           b_scales = column_scales(node, kBScale, "b_scale", e);
  return {code_tensor(node, output.type, e.result,
                      requantize_rows(node, config, sums, e, a_scales, b_scales, output))};
}

constexpr MacOperator kMac{matmuls, finish};
std::vector<Tensor> evaluate(const NodeView& node) { return evaluate_mac(node, kMac); }

}  // namespace

// QLinearMatMul: acc = sum of (a - a_zero_point) * (b - b_zero_point), as numpy.matmul, requantized
// by a_scale * b_scale / y_scale. Scales and zero points: one, one per row of a, per column of b.
// Input 8, int32 [cols] that is added, and q_min and q_max are no part of the standard.
// Source: ONNX operator, opsets 10, 21.
extern const Operator kQLinearMatMul;
const Operator kQLinearMatMul{"QLinearMatMul", {"q_max", "q_min"}, 8,       9,
                              infer_shape,     evaluate,           nullptr, &kMac};

}  // namespace widthwise
