#include "models/evaluation.h"
#include "models/operator.h"

namespace widthwise {
namespace {

std::vector<Shape> infer_shape(const NodeView& node) {
  Shape shape = node.shape(0);
  for (size_t i = 1; i < node.input_count(); ++i)
    shape = broadcast_shape(node, shape, node.shape(i));
  return {shape};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const bool largest = node.node().op_type == "Max";
  Tensor result = node.tensor(0, "data_0");
  require_number(node, result);
  for (size_t i = 1; i < node.input_count(); ++i) {
    result = broadcast(node, result, node.tensor(i, "data"), [&](auto a, auto b) {
      return is_nan(a) || (largest ? a > b : a < b) || (a == b && !is_nan(b)) ? a : b;
    });
  }
  return {result};
}

// Sum, Mean: in double, rounded once.
std::vector<Tensor> evaluate_sum(const NodeView& node) {
  const Tensor& first = node.tensor(0, "data_0");
  const auto wide = [&](const Tensor& tensor) {
    require_one_type(node, first, tensor);
    return Tensor(ElementType::kDouble, tensor.shape(), tensor.reals());
  };
  Tensor result;
  visit_real(node, first, [&](auto stored) {
    using T = decltype(stored);
    Tensor sum = wide(first);
    for (size_t i = 1; i < node.input_count(); ++i) {
      sum = broadcast(node, sum, wide(node.tensor(i, "data")),
                      [](auto a, auto b) { return plus(a, b); });
    }
    const double count =
        node.node().op_type == "Mean" ? static_cast<double>(node.input_count()) : 1;
    result = node.output(first.type(), sum.shape());
    const auto to = result.write<T>();
    const auto from = sum.values<double>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<T>(from[i] / count);
  });
  return {result};
}

}  // namespace

// Min, Max, Sum, Mean of any number of inputs, broadcast; NaN if one of them is NaN.
// Source: ONNX operators, opsets 6, 8, 12, 13.
extern const Operator kMin, kMax, kSum, kMean;
const Operator kMin{"Min", {}, 1, 0, infer_shape, evaluate};
const Operator kMax{"Max", {}, 1, 0, infer_shape, evaluate};
const Operator kSum{"Sum", {}, 1, 0, infer_shape, evaluate_sum};
const Operator kMean{"Mean", {}, 1, 0, infer_shape, evaluate_sum};

}  // namespace widthwise
