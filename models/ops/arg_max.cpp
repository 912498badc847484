#include "models/evaluation.h"
#include "models/operator.h"
#include "models/ops/axes.h"

namespace widthwise {
namespace {

size_t checked_axis(const NodeView& node) {
  const size_t axis = node.axis("axis", node.integer("axis", 0), node.shape(0).size());
  node.require_not_batch("axis", axis);
  if (node.shape(0)[axis] == 0)
    node.refuse("axis", "is one without elements", "use an axis that has some");
  return axis;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const size_t axis = checked_axis(node);
  Shape shape = node.shape(0);
  shape[axis] = 1;
  if (node.integer("keepdims", 1) == 0)
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  return {shape};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Tensor& data = node.tensor(0, "data");
  require_number(node, data);
  const AxisSplit split = split_at(data.shape(), checked_axis(node));
  const bool largest = node.node().op_type == "ArgMax",
             last = node.integer("select_last_index", 0) != 0;
  Tensor result = node.output(ElementType::kInt64, infer_shape(node)[0]);
  const auto to = result.write<int64_t>();
  visit_type(data.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto from = data.values<T>();
    for (size_t line = 0; line < to.size(); ++line) {
      const auto own = static_cast<int64_t>(line);
      const int64_t first = own / split.inner * split.extent * split.inner + own % split.inner;
      T best = from[static_cast<size_t>(first)];
      for (int64_t i = 1; i < split.extent; ++i) {
        const T value = from[static_cast<size_t>(first + i * split.inner)];
        const bool better =
            !is_nan(best) && (is_nan(value) || (largest ? value > best : value < best));
        if (!better && !(last && value == best)) continue;
        best = value;
        to[line] = i;
      }
    }
  });
  return {result};
}

}  // namespace

// ArgMax, ArgMin: the index of the largest (smallest) element along `axis` (0), the first of equal
// ones or with select_last_index the last. Source: ONNX operators, opsets 1, 11, 12, 13.
extern const Operator kArgMax, kArgMin;
const Operator kArgMax{"ArgMax", {"axis", "keepdims", "select_last_index"}, 1, 1, infer_shape,
                       evaluate};
const Operator kArgMin{"ArgMin", {"axis", "keepdims", "select_last_index"}, 1, 1, infer_shape,
                       evaluate};

}  // namespace widthwise
