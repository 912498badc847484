#include <fmt/format.h>

#include "models/evaluation.h"
#include "models/operator.h"

namespace widthwise {
namespace {

std::vector<Shape> infer_shape(const NodeView& node) {
  const Shape values = broadcast_shape(node, node.shape(1), node.shape(2));
  return {broadcast_shape(node, node.shape(0), values)};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Tensor &condition = node.tensor(0, "condition"), &x = node.tensor(1, "X"),
               &y = node.tensor(2, "Y");
  require_one_type(node, x, y);
  if (condition.type() != ElementType::kBool) {
    node.refuse("condition",
                fmt::format("is {}, allowed bool", element_type_name(condition.type())),
                "cast it to bool");
  }
  const Shape shape = infer_shape(node)[0];
  const auto chosen = condition.values<uint8_t>();
  const auto from = broadcast_source(condition.shape(), shape);
  Tensor result = node.output(x.type(), shape);
  visit_type(x.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto first = x.values<T>(), second = y.values<T>();
    const auto to = result.write<T>();
    // X and Y may have fewer axes than the condition, so both are broadcast to the result.
    const auto from_x = broadcast_source(x.shape(), shape),
               from_y = broadcast_source(y.shape(), shape);
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] = chosen[static_cast<size_t>(from[i])] != 0 ? first[static_cast<size_t>(from_x[i])]
                                                        : second[static_cast<size_t>(from_y[i])];
    }
  });
  return {result};
}

}  // namespace

// Where: X where the condition holds, else Y, all three broadcast. Source: ONNX operator, opsets 9,
// 16.
extern const Operator kWhere;
const Operator kWhere{"Where", {}, 3, 3, infer_shape, evaluate};

}  // namespace widthwise
