#include <algorithm>
#include <cmath>

#include "models/evaluation.h"
#include "models/operator.h"
#include "models/ops/axes.h"

namespace widthwise {
namespace {

size_t checked_axis(const NodeView& node) {
  const int64_t otherwise = node.opset() < 13 ? 1 : -1;
  return node.axis("axis", node.integer("axis", otherwise), node.shape(0).size());
}

std::vector<Shape> infer_shape(const NodeView& node) {
  node.require_not_batch("axis", checked_axis(node));
  return {node.shape(0)};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const bool logarithm = node.node().op_type == "LogSoftmax";
  Tensor result = node.tensor(0, "input");
  AxisSplit split = split_at(result.shape(), checked_axis(node));
  if (node.opset() < 13) {  // over all axes from this one on
    split.extent *= split.inner;
    split.inner = 1;
  }
  visit_real(node, result, [&](auto stored) {
    using T = decltype(stored);
    const auto values = result.write<T>();
    for (int64_t line = 0; line < split.outer * split.inner; ++line) {
      const int64_t first = line / split.inner * split.extent * split.inner + line % split.inner;
      const auto at = [&](int64_t i) -> T& {
        return values[static_cast<size_t>(first + i * split.inner)];
      };
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t i = 0; i < split.extent; ++i)
        largest = std::max(largest, static_cast<double>(at(i)));
      for (int64_t i = 0; i < split.extent; ++i)
        sum += std::exp(static_cast<double>(at(i)) - largest);
      for (int64_t i = 0; i < split.extent; ++i) {
        const double shifted = static_cast<double>(at(i)) - largest;
        at(i) = static_cast<T>(logarithm ? shifted - std::log(sum) : std::exp(shifted) / sum);
      }
    }
  });
  return {result};
}

}  // namespace

// Softmax, LogSoftmax along `axis` (the last one); before opset 13 over all axes from `axis` (1)
// on. Source: ONNX operators, opsets 1, 11, 13.
extern const Operator kSoftmax, kLogSoftmax;
const Operator kSoftmax{"Softmax", {"axis"}, 1, 1, infer_shape, evaluate};
const Operator kLogSoftmax{"LogSoftmax", {"axis"}, 1, 1, infer_shape, evaluate};

}  // namespace widthwise
