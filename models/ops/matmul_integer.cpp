#include "models/ops/quantized_matmul.h"

namespace widthwise {
namespace {

enum Input { kA, kB, kAZeroPoint, kBZeroPoint, kBias };

MatmulExtents extents(const NodeView& node) {
  return matmul_extents(node, node.shape(kA), node.shape(kB));
}

std::vector<Shape> infer_shape(const NodeView& node) { return {extents(node).result}; }

std::vector<IntegerMatmul> matmuls(const NodeView& node) {
  const MatmulExtents e = extents(node);
  const Tensor &a = node.tensor(kA, "A"), &b = node.tensor(kB, "B");
  CodeMatrices matrices{a, b, operand_format(node, kA, "A"), operand_format(node, kB, "B"), e};
  matrices.a_zero_points = gather(read_zero_points(node, kAZeroPoint, "a_zero_point", a.type()),
                                  row_source(node, kAZeroPoint, "a_zero_point", e));
  matrices.b_zero_points = gather(read_zero_points(node, kBZeroPoint, "b_zero_point", b.type()),
                                  column_source(node, kBZeroPoint, "b_zero_point", e));
  matrices.bias = read_bias(node, kBias, e.cols);
  return code_matmuls(node, matrices);
}

std::vector<Tensor> finish(const NodeView& node, std::span<const int64_t> sums,
                           const RequantizeConfig&) {
  return {int32_tensor(node, extents(node).result, sums)};
}

constexpr MacOperator kMac{matmuls, finish};
std::vector<Tensor> evaluate(const NodeView& node) { return evaluate_mac(node, kMac); }

}  // namespace

// MatMulInteger: sums of (A - a_zero_point) * (B - b_zero_point) in int32, as numpy.matmul. Zero
// points: one, one per row of A and per column of B. Input 4 is no part of the standard: int32
// [cols], added. Source: ONNX operator, opset 10.
extern const Operator kMatMulInteger;
const Operator kMatMulInteger{"MatMulInteger", {}, 2, 5, infer_shape, evaluate, nullptr, &kMac};

}  // namespace widthwise
