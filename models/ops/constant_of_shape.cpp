#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/evaluation.h"
#include "models/operator.h"

namespace widthwise {
namespace {

std::vector<Shape> infer_shape(const NodeView& node) {
  const Shape shape = node.integer_constant(0, "shape");
  if (shape_elements(shape) < 0)
    node.refuse("shape",
                fmt::format("is {}, allowed are extents of 0 or more and at most {} elements",
                            shape_text(shape), kMaxTensorElements),
                "correct it");
  return {shape};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  Tensor value = Tensor::scalar(0);
  if (const auto found = node.node().attributes.find("value");
      found != node.node().attributes.end()) {
    const auto* stated = std::get_if<Tensor>(&found->second);
    if (stated == nullptr || stated->elements() != 1)
      node.refuse("value", "must be a tensor of one element", "correct it");
    value = *stated;
  }
  Tensor result = node.output(value.type(), infer_shape(node)[0]);
  visit_type(value.type(), [&](auto stored) {
    using T = decltype(stored);
    std::ranges::fill(result.write<T>(), value.values<T>()[0]);
  });
  return {result};
}

template <class T>
T scalar(const NodeView& node, size_t i, const char* what, ElementType type) {
  const Tensor& tensor = node.tensor(i, what);
  if (tensor.elements() != 1 || tensor.type() != type)
    node.refuse(what, "must be one element of start's type", "correct it");
  return tensor.values<T>()[0];
}

// visit(start, delta, count)
template <class Visit>
void visit_range(const NodeView& node, Visit&& visit) {
  const ElementType type = node.tensor(0, "start").type();
  require_number(node, node.tensor(0, "start"));
  visit_type(type, [&](auto stored) {
    using T = decltype(stored);
    const T start = scalar<T>(node, 0, "start", type), limit = scalar<T>(node, 1, "limit", type),
            delta = scalar<T>(node, 2, "delta", type);
    if (delta == T{0}) node.refuse("delta", "is 0", "use another step");
    double count = 0;
    if constexpr (std::is_floating_point_v<T>) {
      count = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) /
                        static_cast<double>(delta));
    } else {
      const __int128 span = static_cast<__int128>(limit) - start, step = delta;
      count = static_cast<double>(span / step + (span % step != 0 && (span < 0) == (step < 0)));
    }
    constexpr auto kMost = static_cast<double>(kMaxTensorElements);
    if (!(count <= kMost))  // NaN, too
      node.refuse("range", fmt::format("has {} elements, allowed 0..{}", count, kMaxTensorElements),
                  "use other limits");
    visit(start, delta, static_cast<int64_t>(std::max(count, 0.0)));
  });
}

std::vector<Shape> infer_range(const NodeView& node) {
  Shape shape;
  visit_range(node, [&](auto, auto, int64_t count) { shape = {count}; });
  return {shape};
}

std::vector<Tensor> evaluate_range(const NodeView& node) {
  Tensor result;
  visit_range(node, [&](auto start, auto delta, int64_t count) {
    using T = decltype(start);
    result = node.output(node.tensor(0, "start").type(), {count});
    const auto to = result.write<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = plus(start, times(static_cast<T>(i), delta));
  });
  return {result};
}

}  // namespace

// ConstantOfShape: a tensor of a constant shape, filled with `value` (float 0).
// Range: start, start + delta, ... up to but without limit; all constant.
// Source: ONNX operators, ConstantOfShape opsets 9, 20..25; Range 11.
extern const Operator kConstantOfShape, kRange;
const Operator kConstantOfShape{"ConstantOfShape", {"value"}, 1, 1, infer_shape, evaluate};
const Operator kRange{"Range", {}, 3, 3, infer_range, evaluate_range};

}  // namespace widthwise
