#include "models/onnx_tensor.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>

#include "core/error.h"
#include "core/files.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

using onnx::TensorProto;

struct Place {
  const std::string& file;
  const std::string& where;
  [[noreturn]] void refuse(const std::string& field, const std::string& problem,
                           const std::string& fix) const {
    throw InputError(
        {.file = file, .where = where, .field = field, .problem = problem, .fix = fix});
  }
};

struct TypeRow {
  int onnx;
  ElementType type;
};
// Numbers of onnx.proto; those above 16 are newer than the installed library.
constexpr TypeRow kTypes[] = {
    {1, ElementType::kFloat},   {2, ElementType::kUint8},   {3, ElementType::kInt8},
    {4, ElementType::kUint16},  {5, ElementType::kInt16},   {6, ElementType::kInt32},
    {7, ElementType::kInt64},   {9, ElementType::kBool},    {11, ElementType::kDouble},
    {12, ElementType::kUint32}, {13, ElementType::kUint64}, {21, ElementType::kUint4},
    {22, ElementType::kInt4},   {25, ElementType::kUint2},  {26, ElementType::kInt2}};

std::string known_types() {
  std::string text;
  for (const TypeRow& row : kTypes)
    text += std::string(text.empty() ? "" : ", ") + element_type_name(row.type);
  return text;
}

// Elements that share one byte: two of 4 bits, four of 2 bits.
int64_t packed_elements(ElementType type) {
  const auto format = integer_format(type);
  return format && type != ElementType::kBool && format->bits < 8 ? 8 / format->bits : 1;
}

int64_t stored_bytes(ElementType type, int64_t elements) {
  const int64_t packed = packed_elements(type);
  return packed > 1 ? (elements + packed - 1) / packed : elements * element_bytes(type);
}

void check_size(const Place& place, int64_t found, int64_t wanted, const char* unit,
                const Shape& shape) {
  if (found == wanted) return;
  place.refuse(
      "data",
      fmt::format("has {} {}, the shape {} needs {}", found, unit, shape_text(shape), wanted),
      "the file is damaged: export the network again");
}

// Low bits first.
std::string unpack(ElementType type, const std::string& packed, int64_t elements) {
  const IntegerFormat format = *integer_format(type);
  const int64_t per_byte = packed_elements(type);
  std::string bytes(static_cast<size_t>(elements), '\0');
  for (int64_t i = 0; i < elements; ++i) {
    const auto byte = static_cast<uint8_t>(packed[static_cast<size_t>(i / per_byte)]);
    const int shift = format.bits * static_cast<int>(i % per_byte);
    int code = (byte >> shift) & ((1 << format.bits) - 1);
    if (format.is_signed && code > format.max()) code -= 1 << format.bits;
    bytes[static_cast<size_t>(i)] = static_cast<char>(code);
  }
  return bytes;
}

std::string pack(const Tensor& tensor) {
  const int64_t per_byte = packed_elements(tensor.type());
  if (per_byte == 1) return tensor.bytes();
  const IntegerFormat format = *integer_format(tensor.type());
  std::string bytes(static_cast<size_t>(stored_bytes(tensor.type(), tensor.elements())), '\0');
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const int code = static_cast<int>(tensor.integer(i)) & ((1 << format.bits) - 1);
    auto& byte = bytes[static_cast<size_t>(i / per_byte)];
    byte = static_cast<char>(byte | code << (format.bits * static_cast<int>(i % per_byte)));
  }
  return bytes;
}

void check_finite(const Place& place, std::span<const float> values, bool allow_infinite) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) || (allow_infinite && std::isinf(values[i]))) continue;
    place.refuse(fmt::format("element {}", i), fmt::format("is {}", values[i]),
                 "weights must be finite: check the training, or replace the value");
  }
}

// The bytes of a tensor that lie in a file beside the network, which must not leave its folder.
std::string read_external(const Place& place, const TensorProto& proto, const fs::path& folder,
                          int64_t wanted) {
  std::string location;
  int64_t offset = 0, length = -1;
  for (const auto& entry : proto.external_data()) {
    const auto number = [&] {
      try {
        size_t used = 0;
        const int64_t value = std::stoll(entry.value(), &used);
        if (used == entry.value().size() && value >= 0) return value;
      } catch (const std::exception&) {
      }
      place.refuse("external_data." + entry.key(),
                   fmt::format("is '{}', allowed are integers of 0 or more", entry.value()),
                   "export the network again");
    };
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset") {
      offset = number();
    } else if (entry.key() == "length") {
      length = number();
    } else if (entry.key() != "checksum") {
      place.refuse("external_data", fmt::format("has the unknown key '{}'", entry.key()),
                   "known are location, offset, length, checksum");
    }
  }
  std::error_code error;
  const fs::path base = fs::weakly_canonical(folder.empty() ? fs::path(".") : folder, error);
  const fs::path path = fs::weakly_canonical(base / location, error);
  const fs::path relative = path.lexically_relative(base);
  if (error || location.empty() || location.find('\0') != std::string::npos ||
      fs::path(location).is_absolute() || relative.empty() || *relative.begin() == "..") {
    place.refuse("external_data.location",
                 fmt::format("is '{}', allowed are files below the network's folder", location),
                 "put the data beside the network and name it without '..' and leading '/'");
  }
  if (!fs::is_regular_file(path, error)) {
    place.refuse("external_data.location", fmt::format("'{}' is no file", location),
                 "copy the data file beside the network");
  }
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  if (length < 0) length = wanted;
  if (error || offset > size || length > size - offset) {
    place.refuse("external_data",
                 fmt::format("asks for {} bytes from {} on of {}, which has {}", length, offset,
                             location, size),
                 "copy the data file again");
  }
  if (length != wanted) {
    place.refuse("external_data.length",
                 fmt::format("is {}, the shape needs {} bytes", length, wanted),
                 "export the network again");
  }
  std::string bytes(static_cast<size_t>(wanted), '\0');
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(offset);
  stream.read(bytes.data(), wanted);
  if (!stream) {
    place.refuse("external_data", fmt::format("of {} cannot be read", location),
                 "check the file's permissions");
  }
  return bytes;
}

// Elements of a typed field in their stored form.
template <class Field>
std::string typed_bytes(const Place& place, const Field& field, ElementType type,
                        const Shape& shape, int64_t elements) {
  const bool packed = packed_elements(type) > 1;
  check_size(place, field.size(), packed ? stored_bytes(type, elements) : elements, "elements",
             shape);
  if (packed) {  // a byte to an int32
    std::string bytes;
    for (const auto value : field) bytes.push_back(static_cast<char>(value));
    return unpack(type, bytes, elements);
  }
  std::string bytes(static_cast<size_t>(elements * element_bytes(type)), '\0');
  visit_type(type, [&](auto stored) {
    using T = decltype(stored);
    auto* to = reinterpret_cast<T*>(bytes.data());
    for (const auto value : field) *to++ = static_cast<T>(value);
  });
  return bytes;
}

std::string take_bytes(const Place& place, TensorProto& proto, ElementType type, const Shape& shape,
                       int64_t elements, const fs::path& folder) {
  const int64_t wanted = stored_bytes(type, elements);
  const bool external =
      proto.data_location() == TensorProto::EXTERNAL || proto.external_data_size() != 0;
  if (external || proto.has_raw_data()) {
    std::string bytes;
    if (external) {
      bytes = read_external(place, proto, folder, wanted);
    } else {
      check_size(place, static_cast<int64_t>(proto.raw_data().size()), wanted, "bytes", shape);
      bytes = std::move(*proto.mutable_raw_data());
      proto.clear_raw_data();
    }
    return packed_elements(type) > 1 ? unpack(type, bytes, elements) : bytes;
  }
  switch (type) {
    case ElementType::kFloat:
      return typed_bytes(place, proto.float_data(), type, shape, elements);
    case ElementType::kDouble:
      return typed_bytes(place, proto.double_data(), type, shape, elements);
    case ElementType::kInt64:
      return typed_bytes(place, proto.int64_data(), type, shape, elements);
    case ElementType::kUint32:
    case ElementType::kUint64:
      return typed_bytes(place, proto.uint64_data(), type, shape, elements);
    default:  // int32_data holds every narrower integer
      return typed_bytes(place, proto.int32_data(), type, shape, elements);
  }
}

}  // namespace

int onnx_element_type(ElementType type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.onnx;
  }
  throw std::logic_error("element type");
}

std::optional<ElementType> element_type_of(int64_t onnx_type) {
  for (const TypeRow& row : kTypes) {
    if (row.onnx == onnx_type) return row.type;
  }
  return std::nullopt;
}

ElementType element_type_of(int onnx_type, const std::string& file, const std::string& where) {
  if (const auto type = element_type_of(int64_t{onnx_type})) return *type;
  Place{file, where}.refuse(
      "data_type",
      fmt::format("is {}, allowed {}",
                  TensorProto::DataType_IsValid(onnx_type)
                      ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(onnx_type))
                      : std::to_string(onnx_type),
                  known_types()),
      "export the network in float32");
}

Tensor convert_tensor(TensorProto& proto, const std::string& file, const std::string& where,
                      const fs::path& folder, bool allow_infinite) {
  const Place place{file, where};
  if (proto.has_segment()) {
    place.refuse("segment", "is set, tensors in segments are not supported",
                 "save the tensor in one piece");
  }
  const ElementType type = element_type_of(proto.data_type(), file, where);
  Shape shape(proto.dims().begin(), proto.dims().end());
  const int64_t elements = shape_elements(shape);
  if (elements < 0) {
    std::string text;
    for (size_t i = 0; i < std::min(shape.size(), kMaxTensorAxes); ++i) {
      text += (text.empty() ? "" : ", ") + std::to_string(shape[i]);
    }
    place.refuse(
        "dims",
        fmt::format(
            "are [{}]{}, allowed are at most {} extents of 0 or more and {} "
            "elements",
            text,
            shape.size() > kMaxTensorAxes ? fmt::format(" and more, {} in all", shape.size()) : "",
            kMaxTensorAxes, kMaxTensorElements),
        "the file is damaged: export the network again");
  }
  std::string bytes = take_bytes(place, proto, type, shape, elements, folder);
  Tensor tensor(type, std::move(shape), std::move(bytes));
  if (type == ElementType::kFloat) check_finite(place, tensor.values<float>(), allow_infinite);
  return tensor;
}

Tensor load_tensor_proto(const fs::path& path) {
  const std::string bytes = read_file(path, "give a file with one ONNX TensorProto (.pb)");
  const google::protobuf::LogSilencer silent;
  TensorProto proto;
  if (!proto.ParseFromString(bytes)) {
    throw InputError({.file = path.string(),
                      .where = "",
                      .field = "",
                      .problem = "is not an ONNX TensorProto: it does not parse",
                      .fix = "give a file with one ONNX TensorProto (.pb)"});
  }
  return convert_tensor(proto, path.string(), fmt::format("tensor '{}'", proto.name()),
                        path.parent_path(), true);
}

std::string tensor_proto_bytes(const Tensor& tensor, const std::string& name) {
  TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(onnx_element_type(tensor.type()));
  for (const int64_t extent : tensor.shape()) proto.add_dims(extent);
  proto.set_raw_data(pack(tensor));
  return proto.SerializeAsString();
}

}  // namespace widthwise
