#include "core/tensor.h"

#include <algorithm>
#include <stdexcept>

namespace widthwise {
namespace {

int64_t checked_elements(const Shape& shape) {
  int64_t product = 1;
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(product, extent, &product))
      throw std::logic_error("Tensor: shape " + shape_text(shape));
  }
  return product;
}

}  // namespace

int64_t shape_elements(const Shape& shape) {
  int64_t product = 1;  // of the other extents, too, where one is 0: strides are products of them
  bool empty = false;
  if (shape.size() > kMaxTensorAxes) return -1;
  for (const int64_t extent : shape) {
    if (extent < 0 || extent > kMaxTensorElements) return -1;
    empty = empty || extent == 0;
    product *= extent == 0 ? 1 : extent;  // both below 2^29
    if (product > kMaxTensorElements) return -1;
  }
  return empty ? 0 : product;
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (size_t i = 0; i < std::min(shape.size(), kMaxTensorAxes); ++i) {
    text += text.empty() ? "" : ", ";
    text += shape[i] == -1 ? "N" : std::to_string(shape[i]);
  }
  if (shape.size() > kMaxTensorAxes) text += ", ... " + std::to_string(shape.size()) + " axes";
  return "[" + text + "]";
}

const char* element_type_name(ElementType type) {
  constexpr const char* kNames[] = {"float", "double", "uint8", "int8",   "uint16",
                                    "int16", "uint32", "int32", "uint64", "int64",
                                    "bool",  "uint4",  "int4",  "uint2",  "int2"};
  return kNames[static_cast<size_t>(type)];
}

bool is_real(ElementType type) {
  return type == ElementType::kFloat || type == ElementType::kDouble;
}

std::optional<IntegerFormat> integer_format(ElementType type) {
  switch (type) {
    case ElementType::kFloat:
    case ElementType::kDouble:
      return std::nullopt;
    case ElementType::kBool:
      return IntegerFormat{1, false};
    case ElementType::kUint4:
      return IntegerFormat{4, false};
    case ElementType::kInt4:
      return IntegerFormat{4, true};
    case ElementType::kUint2:
      return IntegerFormat{2, false};
    case ElementType::kInt2:
      return IntegerFormat{2, true};
    default:
      return visit_type(type, [](auto stored) {
        using T = decltype(stored);
        return IntegerFormat{static_cast<int>(8 * sizeof(T)), std::is_signed_v<T>};
      });
  }
}

ElementType element_type(IntegerFormat format) {
  if (format.bits <= 8) return format.is_signed ? ElementType::kInt8 : ElementType::kUint8;
  if (format.bits <= 16) return format.is_signed ? ElementType::kInt16 : ElementType::kUint16;
  return format.is_signed ? ElementType::kInt32 : ElementType::kUint32;
}

int64_t element_bytes(ElementType type) {
  return visit_type(type, [](auto stored) { return static_cast<int64_t>(sizeof(stored)); });
}

Tensor::Tensor(ElementType type, Shape shape)
    : type_(type), shape_(std::move(shape)), elements_(checked_elements(shape_)) {
  bytes_ =
      std::make_shared<std::string>(static_cast<size_t>(elements_ * element_bytes(type)), '\0');
}

Tensor::Tensor(ElementType type, Shape shape, std::string bytes)
    : type_(type), shape_(std::move(shape)), elements_(checked_elements(shape_)) {
  if (static_cast<int64_t>(bytes.size()) != elements_ * element_bytes(type))
    throw std::logic_error("Tensor: bytes do not fit the shape " + shape_text(shape_));
  bytes_ = std::make_shared<std::string>(std::move(bytes));
}

int64_t Tensor::integer(int64_t i) const {
  return visit_type(type_, [&](auto stored) {
    return static_cast<int64_t>(values<decltype(stored)>()[static_cast<size_t>(i)]);
  });
}

double Tensor::real(int64_t i) const {
  return visit_type(type_, [&](auto stored) {
    return static_cast<double>(values<decltype(stored)>()[static_cast<size_t>(i)]);
  });
}

std::vector<int64_t> Tensor::integers() const {
  return visit_type(type_, [&](auto stored) {
    const auto all = values<decltype(stored)>();
    return std::vector<int64_t>(all.begin(), all.end());
  });
}

std::vector<double> Tensor::reals() const {
  return visit_type(type_, [&](auto stored) {
    const auto all = values<decltype(stored)>();
    return std::vector<double>(all.begin(), all.end());
  });
}

Tensor Tensor::reshaped(Shape shape) const {
  Tensor other = *this;
  other.elements_ = checked_elements(shape);
  other.shape_ = std::move(shape);
  if (other.elements_ != elements_) throw std::logic_error("Tensor::reshaped: elements differ");
  return other;
}

Tensor Tensor::retyped(ElementType type) const {
  Tensor other = *this;
  other.type_ = type;
  if (element_bytes(type) != element_bytes(type_)) wrong_type();
  return other;
}

bool Tensor::operator==(const Tensor& other) const {
  return type_ == other.type_ && shape_ == other.shape_ && *bytes_ == *other.bytes_;
}

void Tensor::wrong_type() const {
  throw std::logic_error(std::string("Tensor: elements are ") + element_type_name(type_));
}

}  // namespace widthwise
