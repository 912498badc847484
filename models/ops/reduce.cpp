#include <fmt/format.h>

#include <limits>

#include "models/evaluation.h"
#include "models/movement.h"
#include "models/operator.h"
#include "models/ops/axes.h"

namespace widthwise {
namespace {

std::vector<bool> reduced_axes(const NodeView& node) {
  const size_t rank = node.shape(0).size();
  const auto axes = stated_axes(node, node.node().op_type == "ReduceSum" ? 13 : 18);
  if (!axes || axes->empty())
    return std::vector<bool>(rank, node.integer("noop_with_empty_axes", 0) == 0);
  std::vector<bool> reduced(rank, false);
  for (const int64_t value : *axes) {
    const size_t axis = node.axis("axes", value, rank);
    node.require_not_batch("axes", axis);
    if (reduced[axis]) node.refuse("axes", "name an axis twice", "name it once");
    reduced[axis] = true;
  }
  return reduced;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const std::vector<bool> reduced = reduced_axes(node);
  const bool keep = node.integer("keepdims", 1) != 0;
  Shape shape;
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (!reduced[i] || keep) shape.push_back(reduced[i] ? 1 : node.shape(0)[i]);
  }
  return {shape};
}

// The element of the result that each element of the data goes to.
std::vector<int64_t> targets(const NodeView& node) {
  const std::vector<bool> reduced = reduced_axes(node);
  Shape kept = node.shape(0);
  for (size_t i = 0; i < kept.size(); ++i) kept[i] = reduced[i] ? 1 : kept[i];
  std::vector<int64_t> strides = row_major_strides(kept);
  for (size_t i = 0; i < kept.size(); ++i) strides[i] = reduced[i] ? 0 : strides[i];
  return strided_source(0, node.shape(0), strides);
}

// Real numbers in double, integers modulo 2^bits; a mean of integers is exact and toward zero.
template <class T>
void add_up(const NodeView& node, std::span<const T> from, std::span<T> to, bool mean) {
  using Sum = std::conditional_t<std::is_floating_point_v<T>, double, __int128>;
  std::vector<Sum> sums(to.size(), 0);
  const std::vector<int64_t> at = targets(node);
  for (size_t i = 0; i < from.size(); ++i) {
    Sum& sum = sums[static_cast<size_t>(at[i])];
    sum += static_cast<Sum>(from[i]);
  }
  const auto count = static_cast<Sum>(to.empty() ? 0 : from.size() / to.size());
  if constexpr (!std::is_floating_point_v<T>) {
    if (mean && count == 0 && !to.empty())
      node.refuse("data", "are empty: integers have no mean of nothing", "use other axes");
  }
  for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<T>(mean ? sums[i] / count : sums[i]);
}

// The largest or smallest of a subset: NaN if there is one; of nothing the type's other end.
template <class T>
void select(const NodeView& node, std::span<const T> from, std::span<T> to, bool largest,
            ElementType type) {
  using Limits = std::numeric_limits<T>;
  T low = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  T high = Limits::has_infinity ? Limits::infinity() : Limits::max();
  if (type == ElementType::kBool) high = 1;
  std::fill(to.begin(), to.end(), largest ? low : high);
  const std::vector<int64_t> at = targets(node);
  for (size_t i = 0; i < from.size(); ++i) {
    T& best = to[static_cast<size_t>(at[i])];
    const T value = from[i];
    if (!is_nan(best) && (is_nan(value) || (largest ? value > best : value < best))) best = value;
  }
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const std::string& operation = node.node().op_type;
  const Tensor& data = node.tensor(0, "data");
  const bool maximum = operation == "ReduceMax", minimum = operation == "ReduceMin";
  if ((!maximum && !minimum) || data.type() != ElementType::kBool) require_number(node, data);
  Tensor result = node.output(data.type(), infer_shape(node)[0]);
  visit_type(data.type(), [&](auto stored) {
    using T = decltype(stored);
    if (maximum || minimum) {
      select<T>(node, data.values<T>(), result.write<T>(), maximum, data.type());
    } else {
      add_up<T>(node, data.values<T>(), result.write<T>(), operation == "ReduceMean");
    }
  });
  return {result};
}

}  // namespace

// ReduceSum, ReduceMean, ReduceMax, ReduceMin over `axes` (all by default): an attribute before
// opset 18 (ReduceSum: 13), then a constant input. fold() writes a mean over all spatial axes as a
// GlobalAveragePool. Source: ONNX operators, opsets 1, 11, 12, 13, 18, 20.
extern const Operator kReduceSum, kReduceMean, kReduceMax, kReduceMin;
const Operator kReduceSum{
    "ReduceSum", {"axes", "keepdims", "noop_with_empty_axes"}, 1, 2, infer_shape, evaluate};
const Operator kReduceMean{
    "ReduceMean", {"axes", "keepdims", "noop_with_empty_axes"}, 1, 2, infer_shape, evaluate};
const Operator kReduceMax{
    "ReduceMax", {"axes", "keepdims", "noop_with_empty_axes"}, 1, 2, infer_shape, evaluate};
const Operator kReduceMin{
    "ReduceMin", {"axes", "keepdims", "noop_with_empty_axes"}, 1, 2, infer_shape, evaluate};

}  // namespace widthwise
