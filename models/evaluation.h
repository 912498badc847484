#pragma once
#include <vector>

#include "models/node_view.h"

namespace widthwise {

// Helpers of the operators' evaluate() functions.

// Calls visit(T{}) for float and double; refuses other element types, naming the node.
template <class Visit>
void visit_real(const NodeView& node, const Tensor& tensor, Visit&& visit) {
  if (tensor.type() == ElementType::kFloat) return visit(float{});
  if (tensor.type() == ElementType::kDouble) return visit(double{});
  node.refuse("type",
              std::string("is ") + element_type_name(tensor.type()) + ", allowed float, double",
              "cast it to float");
}

// f(double) of every element of input 0, float or double, rounded once.
template <class Function>
Tensor map_real(const NodeView& node, Function&& f) {
  Tensor result = node.tensor(0, "input");
  visit_real(node, result, [&](auto stored) {
    using T = decltype(stored);
    for (T& value : result.write<T>()) value = static_cast<T>(f(static_cast<double>(value)));
  });
  return result;
}

// a + b, a - b, a * b: real numbers as they are, integers modulo 2^bits of their type.
template <class T>
T plus(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return a + b;
  return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
template <class T>
T minus(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return a - b;
  return static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
template <class T>
T times(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return a * b;
  return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

// The shape that two shapes broadcast to; refuses those that do not.
Shape broadcast_shape(const NodeView& node, const Shape& a, const Shape& b);

// For every element of `to` in order: the element of a tensor of shape `from` that is broadcast to
// it. `from` must broadcast to `to`.
std::vector<int64_t> broadcast_source(const Shape& from, const Shape& to);

// f(a, b) of two inputs of one type, broadcast; integers wrap around in their type.
template <class Function>
Tensor broadcast(const NodeView& node, Function&& f) {
  const Tensor &a = node.tensor(0, "A"), &b = node.tensor(1, "B");
  if (a.type() != b.type()) {
    node.refuse("inputs",
                std::string("are of the types ") + element_type_name(a.type()) + " and " +
                    element_type_name(b.type()),
                "cast them to one type");
  }
  const Shape shape = broadcast_shape(node, a.shape(), b.shape());
  Tensor result = node.output(a.type(), shape);
  visit_type(a.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto first = a.values<T>(), second = b.values<T>();
    const auto to = result.write<T>();
    if (a.shape() == b.shape()) {
      for (size_t i = 0; i < to.size(); ++i) to[i] = f(first[i], second[i]);
      return;
    }
    const auto from_a = broadcast_source(a.shape(), shape),
               from_b = broadcast_source(b.shape(), shape);
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] = f(first[static_cast<size_t>(from_a[i])], second[static_cast<size_t>(from_b[i])]);
    }
  });
  return result;
}

}  // namespace widthwise
