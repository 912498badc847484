#include "models/ops/quantized_matmul.h"

namespace widthwise {
namespace {

enum Input { kA, kAScale, kAZeroPoint, kB, kBScale, kBZeroPoint, kYScale, kYZeroPoint, kBias };

MatmulExtents extents(const NodeView& node) {
  return matmul_extents(node, node.shape(kA), node.shape(kB));
}

std::vector<Shape> infer_shape(const NodeView& node) { return {extents(node).result}; }

std::vector<IntegerMatmul> matmuls(const NodeView& node) {
  const MatmulExtents e = extents(node);
  const Tensor &a = node.tensor(kA, "a"), &b = node.tensor(kB, "b");
  CodeMatrices matrices{a, b, operand_format(node, kA, "a"), operand_format(node, kB, "b"), e};
  matrices.a_zero_points = gather(read_zero_points(node, kAZeroPoint, "a_zero_point", a.type()),
                                  row_source(node, kAZeroPoint, "a_zero_point", e));
  matrices.b_zero_points = gather(read_zero_points(node, kBZeroPoint, "b_zero_point", b.type()),
                                  column_source(node, kBZeroPoint, "b_zero_point", e));
  matrices.bias = read_bias(node, kBias, e.cols);
  return code_matmuls(node, matrices);
}

std::vector<Tensor> finish(const NodeView& node, std::span<const int64_t> sums,
                           const RequantizeConfig& config) {
  const MatmulExtents e = extents(node);
  const OutputCodes output =
      read_output_codes(node, kYScale, kYZeroPoint, node.tensor(kA, "a").type());
  const std::vector<float> a_scales = gather(read_scales(node, kAScale, "a_scale"),
                                             row_source(node, kAScale, "a_scale", e)),
                           b_scales = gather(read_scales(node, kBScale, "b_scale"),
                                             column_source(node, kBScale, "b_scale", e));
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
