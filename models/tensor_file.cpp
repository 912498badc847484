#include "models/tensor_file.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"
#include "models/npy.h"
#include "models/onnx_tensor.h"

namespace widthwise {
namespace {

struct TypeName {
  const char* dtype;
  ElementType type;
};
constexpr TypeName kTypes[] = {
    {"f4", ElementType::kFloat},  {"f8", ElementType::kDouble}, {"u1", ElementType::kUint8},
    {"i1", ElementType::kInt8},   {"u2", ElementType::kUint16}, {"i2", ElementType::kInt16},
    {"u4", ElementType::kUint32}, {"i4", ElementType::kInt32},  {"u8", ElementType::kUint64},
    {"i8", ElementType::kInt64},  {"b1", ElementType::kBool}};

Tensor tensor_of(NpyArray array, const std::string& file) {
  for (const TypeName& row : kTypes) {
    if (array.dtype == row.dtype) return {row.type, array.shape, std::move(array.bytes)};
  }
  throw InputError({.file = file,
                    .where = "",
                    .field = "dtype",
                    .problem = "is " + array.dtype + ", which no network reads",
                    .fix = "store the array as float32 or integers"});
}

Tensor converted(const Tensor& tensor, ElementType wanted, const std::string& file) {
  const auto refuse = [&](const std::string& problem) {
    throw InputError({.file = file,
                      .where = "",
                      .field = "type",
                      .problem = problem,
                      .fix = fmt::format("store the array as {}", element_type_name(wanted))});
  };
  if (tensor.type() == wanted) return tensor;
  Tensor result(wanted, tensor.shape());
  if (tensor.type() == ElementType::kDouble && wanted == ElementType::kFloat) {
    const auto to = result.write<float>();
    const auto from = tensor.values<double>();
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] = static_cast<float>(from[i]);
      if (std::isinf(to[i]) && !std::isinf(from[i]))
        refuse(fmt::format("holds {}, which is beyond float", from[i]));
    }
    return result;
  }
  const auto format = integer_format(wanted);
  if (!format || is_real(tensor.type())) {
    refuse(fmt::format("is {}, needed {}", element_type_name(tensor.type()),
                       element_type_name(wanted)));
  }
  visit_type(wanted, [&](auto stored) {
    using T = decltype(stored);
    const auto to = result.write<T>();
    for (size_t i = 0; i < to.size(); ++i) {
      const int64_t value = tensor.integer(static_cast<int64_t>(i));
      const bool beyond = tensor.type() == ElementType::kUint64 && value < 0;  // above 2^63 - 1
      const bool fits = format->bits >= 64 ? format->is_signed || value >= 0 : format->holds(value);
      if (beyond || !fits) {
        refuse(fmt::format(
            "holds {}, which is no {}",
            beyond ? std::to_string(static_cast<uint64_t>(value)) : std::to_string(value),
            element_type_name(wanted)));
      }
      to[i] = static_cast<T>(value);
    }
  });
  return result;
}

}  // namespace

Tensor load_tensor(const std::string& file, ElementType wanted) {
  if (file.ends_with(".pb") && file.find(".npz:") == std::string::npos)
    return converted(load_tensor_proto(file), wanted, file);
  return converted(tensor_of(read_array(file), file), wanted, file);
}

void write_tensor(const std::filesystem::path& path, const Tensor& tensor) {
  // The stored bytes of a type are those of the NumPy type with the same C++ type.
  const char* dtype = nullptr;
  const auto own = visit_type(tensor.type(), [](auto stored) { return sizeof(stored); });
  const auto format = integer_format(tensor.type());
  for (const TypeName& row : kTypes) {
    const auto other = integer_format(row.type);
    const bool same = row.type == tensor.type();
    const bool narrow = tensor.type() != ElementType::kBool && format && other && own == 1 &&
                        format->bits < 8 && other->bits == 8 &&
                        other->is_signed == format->is_signed;
    if (same || narrow) dtype = row.dtype;
  }
  write_npy(path, {.dtype = dtype, .shape = tensor.shape(), .bytes = tensor.bytes()});
}

}  // namespace widthwise
