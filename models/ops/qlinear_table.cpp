#include <algorithm>
#include <cmath>

#include "models/ops/quantized.h"

namespace widthwise {
namespace {

enum Input { kX, kXScale, kXZeroPoint, kYScale, kYZeroPoint };

std::vector<Shape> infer_shape(const NodeView& node) { return {node.shape(kX)}; }

// y = saturate(rint(f(x_scale * (x - x_zero_point)) / y_scale) + y_zero_point) in float32, through
// a table of all codes.
template <class Function>
std::vector<Tensor> map_table(const NodeView& node, const Function& f) {
  const OperandCodes x = read_operand_codes(node, kX, kXScale, kXZeroPoint, "x");
  const OutputCodes y = read_output_codes(node, kYScale, kYZeroPoint, x.tensor.type());
  std::vector<int32_t> table;
  for (int64_t code = x.format.min(); code <= x.format.max(); ++code) {
    const float real = x.scale * static_cast<float>(code - x.zero_point);
    table.push_back(
        rounded_code(f(real) / y.scale, y.q_min - y.zero_point, y.q_max - y.zero_point) +
        y.zero_point);
  }
  std::vector<int32_t> codes = codes_of(x.tensor);
  for (int32_t& code : codes) code = table[static_cast<size_t>(code - x.format.min())];
  return {code_tensor(node, y.type, x.tensor.shape(), codes)};
}

std::vector<Tensor> evaluate_leaky_relu(const NodeView& node) {
  const float alpha = node.real("alpha", 0.01F);
  return map_table(node, [&](float x) { return x >= 0 ? x : alpha * x; });
}

// ONNX Runtime's rational approximation in float32, in its order and with its fused additions.
float logistic(float x) {
  x = std::clamp(x, -18.0F, 18.0F);
  const float square = x * x;
  float p = std::fma(square, 4.37031012579801e-11F, 1.15627324459942e-07F);
  p = std::fma(p, square, 6.08574864600143e-05F);
  p = std::fma(p, square, 8.51377133304701e-03F);
  p = std::fma(p, square, 2.48287947061529e-01F);
  p = p * x;
  float q = std::fma(square, 6.10247389755681e-13F, 5.76102136993427e-09F);
  q = std::fma(q, square, 6.29106785017040e-06F);
  q = std::fma(q, square, 1.70198817374094e-03F);
  q = std::fma(q, square, 1.16817656904453e-01F);
  q = std::fma(q, square, 9.93151921023180e-01F);
  return std::clamp(p / q + 0.5F, 0.0F, 1.0F);
}

std::vector<Tensor> evaluate_sigmoid(const NodeView& node) { return map_table(node, logistic); }

}  // namespace

// QLinearLeakyRelu, QLinearSigmoid: a function of every code. q_min and q_max are no part of them.
// Source: ONNX Runtime's com.microsoft operators, version 1.
extern const Operator kQLinearLeakyRelu, kQLinearSigmoid;
const Operator kQLinearLeakyRelu{"QLinearLeakyRelu", {"alpha", "q_max", "q_min"}, 4,       5,
                                 infer_shape,        evaluate_leaky_relu,         nullptr, nullptr,
                                 kMicrosoftDomain};
const Operator kQLinearSigmoid{"QLinearSigmoid", {"q_max", "q_min"}, 4,       5,
                               infer_shape,      evaluate_sigmoid,   nullptr, nullptr,
                               kMicrosoftDomain};

}  // namespace widthwise
