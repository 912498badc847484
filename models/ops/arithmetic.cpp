#include <fmt/format.h>

#include <cmath>

#include "models/evaluation.h"
#include "models/operator.h"
#include "models/ops/per_channel.h"

namespace widthwise {
namespace {

std::vector<Shape> infer_shape(const NodeView& node) {
  return {broadcast_shape(node, node.shape(0), node.shape(1))};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const auto operand = constant_operand(node);
  if (!operand) {
    node.refuse("operands",
                fmt::format("of the shapes {} and {} are no activation and a float constant per "
                            "channel, which alone has a layer",
                            shape_text(node.shape(0)), shape_text(node.shape(1))),
                "run the network instead of quantizing it, or end it before this node");
  }
  lower_affine(node, builder, operand->activation, operand->affine);
}

// Integers toward zero; the quotient that does not fit, lowest / -1, wraps around.
template <class T>
T divide(const NodeView& node, T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a / b;
  } else {
    if (b == 0) node.refuse("B", "divides an integer by zero", "use other divisors");
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return minus<T>(0, a);
    }
    return static_cast<T>(a / b);
  }
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const std::string& type = node.node().op_type;
  require_number(node, node.tensor(0, "A"));
  if (type == "Sub") return {broadcast(node, [](auto a, auto b) { return minus(a, b); })};
  if (type == "Mul") return {broadcast(node, [](auto a, auto b) { return times(a, b); })};
  return {broadcast(node, [&](auto a, auto b) { return divide(node, a, b); })};
}

// An integer to the power of one, modulo 2^bits; 1 / base^n toward zero for negative n.
template <class T>
T integer_power(const NodeView& node, T base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) node.refuse("Y", "raises zero to a negative power", "use other exponents");
    if (base == 1) return 1;
    if constexpr (std::is_signed_v<T>) {
      if (base == -1) return exponent % 2 == 0 ? T{1} : T{-1};
    }
    return 0;
  }
  T power = 1;
  for (auto left = static_cast<uint64_t>(exponent); left != 0; left >>= 1) {
    if (left & 1) power = times(power, base);
    base = times(base, base);
  }
  return power;
}

std::vector<Tensor> evaluate_power(const NodeView& node) {
  const Tensor &base = node.tensor(0, "X"), &exponent = node.tensor(1, "Y");
  require_number(node, base);
  require_number(node, exponent);
  const Shape shape = broadcast_shape(node, base.shape(), exponent.shape());
  Tensor result = node.output(base.type(), shape);
  visit_type(base.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto to = result.write<T>();
    const auto from = base.values<T>();
    for_each_pair(base.shape(), exponent.shape(), shape, [&](size_t i, size_t j, size_t k) {
      const auto at = static_cast<int64_t>(k);
      if constexpr (!std::is_floating_point_v<T>) {
        if (!is_real(exponent.type())) {
          to[i] = integer_power(node, from[j], exponent.integer(at));
          return;
        }
      }
      const double y =
          is_real(exponent.type()) ? exponent.real(at) : static_cast<double>(exponent.integer(at));
      to[i] = truncated<T>(std::pow(static_cast<double>(from[j]), y));
    });
  });
  return {result};
}

}  // namespace

// Sub, Mul, Div with broadcasting; integers modulo 2^bits, divided toward zero. As a layer: an
// activation and a constant per channel, which fold() moves into weight and bias or which becomes
// a depthwise 1x1 matmul. Source: ONNX operators, opsets 7, 13, 14.
extern const Operator kSub, kMul, kDiv;
const Operator kSub{"Sub", {}, 2, 2, infer_shape, evaluate, lower};
const Operator kMul{"Mul", {}, 2, 2, infer_shape, evaluate, lower};
const Operator kDiv{"Div", {}, 2, 2, infer_shape, evaluate, lower};

// Pow: X^Y in X's type; Y may be of another one. Source: ONNX operator, opsets 7, 12, 13, 15.
extern const Operator kPow;
const Operator kPow{"Pow", {}, 2, 2, infer_shape, evaluate_power};

}  // namespace widthwise
