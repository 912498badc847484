#include <algorithm>

#include "models/evaluation.h"
#include "models/ops/quantized.h"
#include "models/quantized_sum.h"

namespace widthwise {
namespace {

enum Input { kA, kAScale, kAZeroPoint, kB, kBScale, kBZeroPoint, kYScale, kYZeroPoint };

std::vector<Shape> infer_shape(const NodeView& node) {
  return {broadcast_shape(node, node.shape(kA), node.shape(kB))};
}

// f(a's code, b's code) for every element of the broadcast result.
template <class Function>
std::vector<Tensor> map_codes(const NodeView& node, const OperandCodes& a, const OperandCodes& b,
                              const OutputCodes& y, const Function& f) {
  const Shape shape = infer_shape(node)[0];
  const std::vector<int64_t> from_a = broadcast_source(a.tensor.shape(), shape),
                             from_b = broadcast_source(b.tensor.shape(), shape);
  const std::vector<int32_t> first = codes_of(a.tensor), second = codes_of(b.tensor);
  std::vector<int32_t> codes(from_a.size());
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = f(first[static_cast<size_t>(from_a[i])], second[static_cast<size_t>(from_b[i])]);
  }
  return {code_tensor(node, y.type, shape, codes)};
}

OutputCodes output(const NodeView& node) {
  return read_output_codes(node, kYScale, kYZeroPoint, node.tensor(kA, "A").type());
}

// ONNX Runtime adds the operand that its inner loop repeats first, A's in the inner fused addition
// if it is A, which decides about the roundings of kFloat32. The innermost axis that both have and
// that is not 1 in both says which one is repeated; A if there is no such axis.
bool repeats_first(const Shape& a, const Shape& b) {
  for (size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
    const int64_t first = a[a.size() - i], second = b[b.size() - i];
    if (first != 1 || second != 1) return first == 1;
  }
  if (a.empty() != b.empty()) return a.empty() || a.back() == 1;  // a scalar has one axis of 1
  return true;
}

std::vector<Tensor> requantize_sum(const NodeView& node, const RequantizeConfig& config) {
  const QuantizedSum sum = quantized_sum(node);
  const auto &first = sum.first, &second = sum.second;
  const ElementwiseRequantizer add =
      make_requantizer(node, config, {first.codes, second.codes}, sum.output);
  return map_codes(node, first.codes, second.codes, sum.output,
                   [&](int32_t p, int32_t q) { return add(p + first.up, q + second.up) - sum.up; });
}

std::vector<Tensor> requantize_product(const NodeView& node, const RequantizeConfig& config) {
  const OperandCodes a = read_operand_codes(node, kA, kAScale, kAZeroPoint, "A"),
                     b = read_operand_codes(node, kB, kBScale, kBZeroPoint, "B");
  const OutputCodes y = output(node);
  const auto product = [&](int32_t p, int32_t q) {
    return int64_t{p - a.zero_point} * (q - b.zero_point);
  };
  if (config.kind != RequantizeConfig::Kind::kFloat32) {
    const Requantizer requantize = make_requantizer(node, config, a.scale, b.scale, y);
    return map_codes(node, a, b, y,
                     [&](int32_t p, int32_t q) { return requantize(product(p, q)); });
  }
  const float scale = a.scale * b.scale / y.scale;
  const int32_t up = code_offset(node, y.type);
  const OutputCodes moved = moved_up(y, up);
  return map_codes(node, a, b, y, [&](int32_t p, int32_t q) {
    const float code =
        static_cast<float>(product(p, q)) * scale + static_cast<float>(moved.zero_point);
    return rounded_code(code, moved.q_min, moved.q_max) - up;
  });
}

std::vector<Tensor> evaluate_sum(const NodeView& node) {
  return requantize_sum(node, kOnnxRuntimeArithmetic);
}
std::vector<Tensor> evaluate_product(const NodeView& node) {
  return requantize_product(node, kOnnxRuntimeArithmetic);
}

}  // namespace

QuantizedSum quantized_sum(const NodeView& node) {
  const auto operand = [&](size_t codes, size_t scale, size_t zero_point, const char* what) {
    QuantizedSum::Operand made{read_operand_codes(node, codes, scale, zero_point, what), 0};
    made.up = code_offset(node, made.codes.tensor.type());
    made.codes.zero_point += made.up;
    return made;
  };
  const auto a = operand(kA, kAScale, kAZeroPoint, "A"), b = operand(kB, kBScale, kBZeroPoint, "B");
  const OutputCodes y = output(node);
  const int32_t up = code_offset(node, y.type);
  if (repeats_first(a.codes.tensor.shape(), b.codes.tensor.shape()))
    return {b, a, moved_up(y, up), up};
  return {a, b, moved_up(y, up), up};
}

// QLinearAdd, QLinearMul: A + B and A * B of codes, broadcast. The zero point of y takes part in
// the rounding. code_offset, q_min and q_max are no part of them.
// Source: ONNX Runtime's com.microsoft operators, version 1.
extern const Operator kQLinearAdd, kQLinearMul;
const Operator kQLinearAdd{"QLinearAdd",
                           {"code_offset", "q_max", "q_min"},
                           7,
                           8,
                           infer_shape,
                           evaluate_sum,
                           nullptr,
                           nullptr,
                           kMicrosoftDomain,
                           requantize_sum};
const Operator kQLinearMul{"QLinearMul",
                           {"code_offset", "q_max", "q_min"},
                           7,
                           8,
                           infer_shape,
                           evaluate_product,
                           nullptr,
                           nullptr,
                           kMicrosoftDomain,
                           requantize_product};

}  // namespace widthwise
