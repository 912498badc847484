#pragma once
#include <cmath>
#include <limits>
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

// Refuses element types without arithmetic: bool and codes of 4 and 2 bits.
void require_number(const NodeView& node, const Tensor& tensor);
void require_one_type(const NodeView& node, const Tensor& a, const Tensor& b);

// NaN is not.
template <class T>
bool negative(T value) {
  if constexpr (std::is_unsigned_v<T>) return false;
  return value < T{0};
}
template <class T>
bool is_nan(T value) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(value);
  return false;
}

// Toward zero; what does not fit becomes the nearest value that does, and NaN 0.
template <class T>
T truncated(double value) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    using Limits = std::numeric_limits<T>;
    if (std::isnan(value)) return 0;
    if (value <= static_cast<double>(Limits::lowest())) return Limits::lowest();
    if (value >= std::ldexp(1.0, Limits::digits)) return Limits::max();
    return static_cast<T>(value);
  }
}

// f(T) of every element of input 0, a real number or an integer.
template <class Function>
Tensor map_number(const NodeView& node, Function&& f) {
  Tensor result = node.tensor(0, "input");
  require_number(node, result);
  visit_type(result.type(), [&](auto stored) {
    using T = decltype(stored);
    for (T& value : result.write<T>()) value = static_cast<T>(f(value));
  });
  return result;
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

// visit(i, from_a, from_b) for every element i of `shape`, to which shapes a and b broadcast.
template <class Visit>
void for_each_pair(const Shape& a, const Shape& b, const Shape& shape, Visit&& visit) {
  const auto elements = static_cast<size_t>(shape_elements(shape));
  if (a == b) {
    for (size_t i = 0; i < elements; ++i) visit(i, i, i);
    return;
  }
  const auto from_a = broadcast_source(a, shape), from_b = broadcast_source(b, shape);
  for (size_t i = 0; i < elements; ++i) {
    visit(i, static_cast<size_t>(from_a[i]), static_cast<size_t>(from_b[i]));
  }
}

// f(a, b) of two tensors of one type, broadcast; integers wrap around in their type.
template <class Function>
Tensor broadcast(const NodeView& node, const Tensor& a, const Tensor& b, Function&& f) {
  require_one_type(node, a, b);
  const Shape shape = broadcast_shape(node, a.shape(), b.shape());
  Tensor result = node.output(a.type(), shape);
  visit_type(a.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto first = a.values<T>(), second = b.values<T>();
    const auto to = result.write<T>();
    for_each_pair(a.shape(), b.shape(), shape,
                  [&](size_t i, size_t j, size_t k) { to[i] = f(first[j], second[k]); });
  });
  return result;
}
// Of inputs 0 and 1.
template <class Function>
Tensor broadcast(const NodeView& node, Function&& f) {
  return broadcast(node, node.tensor(0, "A"), node.tensor(1, "B"), f);
}
// A predicate of inputs 0 and 1: the result is bool.
template <class Predicate>
Tensor broadcast_bool(const NodeView& node, Predicate&& holds) {
  const Tensor &a = node.tensor(0, "A"), &b = node.tensor(1, "B");
  require_one_type(node, a, b);
  const Shape shape = broadcast_shape(node, a.shape(), b.shape());
  Tensor result = node.output(ElementType::kBool, shape);
  visit_type(a.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto first = a.values<T>(), second = b.values<T>();
    const auto to = result.write<uint8_t>();
    for_each_pair(a.shape(), b.shape(), shape, [&](size_t i, size_t j, size_t k) {
      to[i] = static_cast<uint8_t>(holds(first[j], second[k]));
    });
  });
  return result;
}

}  // namespace widthwise
