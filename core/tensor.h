#pragma once
#include <cassert>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/integer_format.h"

namespace widthwise {

using Shape = std::vector<int64_t>;

// The most elements that a tensor of one image or a constant may have.
inline constexpr int64_t kMaxTensorElements = int64_t{1} << 28;

// The most axes that it may have.
inline constexpr size_t kMaxTensorAxes = 64;

// Product of the extents (1 for a scalar), or -1 if one is negative, the product without the zeros
// is above kMaxTensorElements, or there are more than kMaxTensorAxes.
int64_t shape_elements(const Shape& shape);
std::string shape_text(const Shape& shape);  // "[1, 16, 28, 28]"; -1 is N; cut after 64 axes

// 4- and 2-bit elements are kept one to a byte.
enum class ElementType {
  kFloat,
  kDouble,
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kUint64,
  kInt64,
  kBool,
  kUint4,
  kInt4,
  kUint2,
  kInt2
};
const char* element_type_name(ElementType type);
bool is_real(ElementType type);  // float, double
// Bits and sign of an integer type; nothing for real numbers. kBool is one unsigned bit.
std::optional<IntegerFormat> integer_format(ElementType type);
// The narrowest integer type that holds every code of a format of 1..32 bits.
ElementType element_type(IntegerFormat format);

// Calls visit(T{}) with the C++ type that a tensor of `type` stores.
template <class Visit>
decltype(auto) visit_type(ElementType type, Visit&& visit) {
  switch (type) {
    case ElementType::kFloat:
      return visit(float{});
    case ElementType::kDouble:
      return visit(double{});
    case ElementType::kUint8:
    case ElementType::kBool:
    case ElementType::kUint4:
    case ElementType::kUint2:
      return visit(uint8_t{});
    case ElementType::kInt8:
    case ElementType::kInt4:
    case ElementType::kInt2:
      return visit(int8_t{});
    case ElementType::kUint16:
      return visit(uint16_t{});
    case ElementType::kInt16:
      return visit(int16_t{});
    case ElementType::kUint32:
      return visit(uint32_t{});
    case ElementType::kInt32:
      return visit(int32_t{});
    case ElementType::kUint64:
      return visit(uint64_t{});
    default:
      return visit(int64_t{});
  }
}
int64_t element_bytes(ElementType type);  // of one stored element

// A tensor of any element type, row-major. Copies share their elements until one is written.
class Tensor {
 public:
  Tensor() : Tensor(ElementType::kFloat, Shape{0}) {}
  Tensor(ElementType type, Shape shape);  // zeros; at most kMaxTensorElements per image
  Tensor(ElementType type, Shape shape, std::string bytes);  // takes the stored elements over
  template <class T>
  Tensor(ElementType type, Shape shape, const std::vector<T>& values)
      : Tensor(
            type, std::move(shape),
            std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T))) {
    check_type<T>();
  }
  static Tensor scalar(float value) { return {ElementType::kFloat, {}, std::vector{value}}; }
  static Tensor list(const std::vector<int64_t>& values) {
    return {ElementType::kInt64, {static_cast<int64_t>(values.size())}, values};
  }
  static Tensor floats(Shape shape, const std::vector<float>& values) {
    return {ElementType::kFloat, std::move(shape), values};
  }

  ElementType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return elements_; }
  size_t rank() const { return shape_.size(); }

  template <class T>
  std::span<const T> values() const {
    check_type<T>();
    return {reinterpret_cast<const T*>(bytes_->data()), static_cast<size_t>(elements_)};
  }
  template <class T>
  std::span<T> write() {
    check_type<T>();
    if (bytes_.use_count() != 1) bytes_ = std::make_shared<std::string>(*bytes_);
    return {reinterpret_cast<T*>(bytes_->data()), static_cast<size_t>(elements_)};
  }
  const std::string& bytes() const { return *bytes_; }

  // Element i, whatever the type.
  int64_t integer(int64_t i) const;
  double real(int64_t i) const;
  std::vector<int64_t> integers() const;
  std::vector<double> reals() const;

  Tensor reshaped(Shape shape) const;      // the same elements; their number must fit
  Tensor retyped(ElementType type) const;  // the same stored bytes under a type of the same size
  bool operator==(const Tensor& other) const;

 private:
  template <class T>
  void check_type() const {
    const bool same =
        visit_type(type_, [](auto stored) { return std::is_same_v<decltype(stored), T>; });
    if (!same) wrong_type();
  }
  [[noreturn]] void wrong_type() const;

  ElementType type_ = ElementType::kFloat;
  Shape shape_;
  int64_t elements_ = 0;
  std::shared_ptr<std::string> bytes_;
};

}  // namespace widthwise
