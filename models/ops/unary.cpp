#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/evaluation.h"
#include "models/operator.h"

namespace widthwise {
namespace {

std::vector<Shape> infer_shape(const NodeView& node) { return {node.shape(0)}; }

using Function = double (*)(double);
template <Function kFunction>
std::vector<Tensor> real(const NodeView& node) {
  return {map_real(node, kFunction)};
}

double square_root(double x) { return std::sqrt(x); }
double exponential(double x) { return std::exp(x); }
double logarithm(double x) { return std::log(x); }
double reciprocal(double x) { return 1 / x; }
double error_function(double x) { return std::erf(x); }
double hyperbolic_tangent(double x) { return std::tanh(x); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::abs(x))); }
double softsign(double x) { return x / (1 + std::abs(x)); }
double hard_swish(double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }
double up(double x) { return std::ceil(x); }
double down(double x) { return std::floor(x); }
double half_to_even(double x) { return std::nearbyint(x); }

std::vector<Tensor> negate(const NodeView& node) {
  return {map_number(node, [](auto x) { return minus<decltype(x)>(0, x); })};
}
std::vector<Tensor> absolute(const NodeView& node) {
  return {map_number(node, [](auto x) {
    if constexpr (std::is_floating_point_v<decltype(x)>) {
      return std::abs(x);
    } else {
      return negative(x) ? minus<decltype(x)>(0, x) : x;
    }
  })};
}
std::vector<Tensor> sign(const NodeView& node) {
  return {map_number(node, [](auto x) {
    using T = decltype(x);
    return x > 0 ? T{1} : negative(x) ? static_cast<T>(-1) : x;  // 0, and NaN
  })};
}

// With parameters.
std::vector<Tensor> evaluate(const NodeView& node) {
  const std::string& type = node.node().op_type;
  const auto parameter = [&](const char* name, float otherwise) {
    return static_cast<double>(node.real(name, otherwise));
  };
  if (type == "LeakyRelu") {
    const double alpha = parameter("alpha", 0.01f);
    return {map_real(node, [=](double x) { return x < 0 ? alpha * x : x; })};
  }
  if (type == "Elu") {
    const double alpha = parameter("alpha", 1);
    return {map_real(node, [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; })};
  }
  if (type == "Selu") {
    const double alpha = parameter("alpha", 1.67326319217681884765625f),
                 gamma = parameter("gamma", 1.05070102214813232421875f);
    return {map_real(node,
                     [=](double x) { return gamma * (x > 0 ? x : alpha * std::exp(x) - alpha); })};
  }
  if (type == "HardSigmoid") {
    const double alpha = parameter("alpha", 0.2f), beta = parameter("beta", 0.5f);
    return {map_real(node, [=](double x) { return std::clamp(alpha * x + beta, 0.0, 1.0); })};
  }
  const std::string approximate = node.text("approximate", "none");  // Gelu
  if (approximate == "none") {
    return {map_real(
        node, [](double x) { return 0.5 * x * (1 + std::erf(x * std::numbers::sqrt2 / 2)); })};
  }
  if (approximate != "tanh")
    node.refuse("approximate", "is " + approximate + ", allowed none, tanh", "correct it");
  const double factor = std::sqrt(2 * std::numbers::inv_pi);
  return {map_real(node, [=](double x) {
    return 0.5 * x * (1 + std::tanh(factor * (x + 0.044715 * x * x * x)));
  })};
}

}  // namespace

// Functions of one element: real numbers, but for Neg, Abs and Sign, which integers have, too (the
// lowest one is its own negative). Round: half to even. Source: ONNX operators.
extern const Operator kSqrt, kExp, kLog, kReciprocal, kErf, kTanh, kSigmoid, kSoftplus, kSoftsign,
    kHardSwish, kCeil, kFloor, kRound, kNeg, kAbs, kSign;
const Operator kSqrt{"Sqrt", {}, 1, 1, infer_shape, real<square_root>};
const Operator kExp{"Exp", {}, 1, 1, infer_shape, real<exponential>};
const Operator kLog{"Log", {}, 1, 1, infer_shape, real<logarithm>};
const Operator kReciprocal{"Reciprocal", {}, 1, 1, infer_shape, real<reciprocal>};
const Operator kErf{"Erf", {}, 1, 1, infer_shape, real<error_function>};
const Operator kTanh{"Tanh", {}, 1, 1, infer_shape, real<hyperbolic_tangent>};
const Operator kSigmoid{"Sigmoid", {}, 1, 1, infer_shape, real<logistic>};
const Operator kSoftplus{"Softplus", {}, 1, 1, infer_shape, real<softplus>};
const Operator kSoftsign{"Softsign", {}, 1, 1, infer_shape, real<softsign>};
const Operator kHardSwish{"HardSwish", {}, 1, 1, infer_shape, real<hard_swish>};
const Operator kCeil{"Ceil", {}, 1, 1, infer_shape, real<up>};
const Operator kFloor{"Floor", {}, 1, 1, infer_shape, real<down>};
const Operator kRound{"Round", {}, 1, 1, infer_shape, real<half_to_even>};
const Operator kNeg{"Neg", {}, 1, 1, infer_shape, negate};
const Operator kAbs{"Abs", {}, 1, 1, infer_shape, absolute};
const Operator kSign{"Sign", {}, 1, 1, infer_shape, sign};

// LeakyRelu, Elu, Selu, HardSigmoid, Gelu (erf, or its approximation by tanh).
extern const Operator kLeakyRelu, kElu, kSelu, kHardSigmoid, kGelu;
const Operator kLeakyRelu{"LeakyRelu", {"alpha"}, 1, 1, infer_shape, evaluate};
const Operator kElu{"Elu", {"alpha"}, 1, 1, infer_shape, evaluate};
const Operator kSelu{"Selu", {"alpha", "gamma"}, 1, 1, infer_shape, evaluate};
const Operator kHardSigmoid{"HardSigmoid", {"alpha", "beta"}, 1, 1, infer_shape, evaluate};
const Operator kGelu{"Gelu", {"approximate"}, 1, 1, infer_shape, evaluate};

}  // namespace widthwise
