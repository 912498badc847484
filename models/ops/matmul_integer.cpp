#include "models/ops/quantized_matmul.h"

namespace widthwise {
namespace {

enum Input { kA, kB, kAZeroPoint, kBZeroPoint, kBias };

constexpr ProductInputs kProduct{kA, kAZeroPoint, kB, kBZeroPoint, kBias};

std::vector<Shape> infer_shape(const NodeView& node) {
  return {product_extents(node, kProduct).result};
}

std::vector<IntegerMatmul> matmuls(const NodeView& node) {
  return code_matmuls(node, read_product(node, kProduct));
}

std::vector<Tensor> finish(const NodeView& node, std::span<const int64_t> sums,
                           const RequantizeConfig&) {
  return {int32_tensor(node, product_extents(node, kProduct).result, sums)};
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
