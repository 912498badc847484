#include <fmt/format.h>

#include "models/evaluation.h"
#include "models/operator.h"

namespace widthwise {
namespace {

std::vector<Shape> infer_shape(const NodeView& node) {
  const Shape& x = node.shape(0);
  if (broadcast_shape(node, x, node.shape(1)) != x) {
    node.refuse("slope",
                fmt::format("has the shape {}, which does not broadcast to {}",
                            shape_text(node.shape(1)), shape_text(x)),
                "give one slope per channel: [C, 1, 1]");
  }
  return {x};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  require_number(node, node.tensor(0, "X"));
  return {broadcast(node, [](auto x, auto slope) { return negative(x) ? times(x, slope) : x; })};
}

}  // namespace

// PRelu: slope * x where x < 0; the slope broadcasts to X. Source: ONNX operator, opsets 7, 9, 16.
extern const Operator kPRelu;
const Operator kPRelu{"PRelu", {}, 2, 2, infer_shape, evaluate};

}  // namespace widthwise
