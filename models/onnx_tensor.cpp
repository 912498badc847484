#include "models/onnx_tensor.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "core/error.h"

namespace widthwise {
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

std::optional<ElementType> element_type(int onnx_type) {
  switch (onnx_type) {
    case TensorProto::FLOAT:
      return ElementType::kFloat;
    case TensorProto::UINT8:
      return ElementType::kUint8;
    case TensorProto::INT8:
      return ElementType::kInt8;
    case TensorProto::UINT16:
      return ElementType::kUint16;
    case TensorProto::INT16:
      return ElementType::kInt16;
    case TensorProto::INT32:
      return ElementType::kInt32;
    case TensorProto::INT64:
      return ElementType::kInt64;
    case TensorProto::BOOL:
      return ElementType::kBool;
    default:
      return std::nullopt;
  }
}

void check_size(const Place& place, int64_t found, int64_t wanted, const char* unit,
                const Shape& shape) {
  if (found == wanted) return;
  place.refuse(
      "data",
      fmt::format("has {} {}, the shape {} needs {}", found, unit, shape_text(shape), wanted),
      "the file is damaged: export the network again");
}

template <class Stored>
void read_raw(const std::string& raw, auto& values) {
  values.reserve(raw.size() / sizeof(Stored));
  for (size_t i = 0; i < raw.size(); i += sizeof(Stored)) {
    Stored value;
    std::memcpy(&value, raw.data() + i, sizeof(Stored));
    values.push_back(value);
  }
}

void read_raw_integers(ElementType type, const std::string& raw, std::vector<int64_t>& values) {
  switch (type) {
    case ElementType::kUint8:
    case ElementType::kBool:
      return read_raw<uint8_t>(raw, values);
    case ElementType::kInt8:
      return read_raw<int8_t>(raw, values);
    case ElementType::kUint16:
      return read_raw<uint16_t>(raw, values);
    case ElementType::kInt16:
      return read_raw<int16_t>(raw, values);
    case ElementType::kInt32:
      return read_raw<int32_t>(raw, values);
    case ElementType::kInt64:
      return read_raw<int64_t>(raw, values);
    case ElementType::kFloat:
      break;
  }
}

int64_t element_bytes(ElementType type) {
  constexpr int64_t kBytes[] = {4, 1, 1, 2, 2, 4, 8, 1};
  return kBytes[static_cast<size_t>(type)];
}

void check_finite(const Place& place, const std::vector<float>& values, bool allow_infinite) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) || (allow_infinite && std::isinf(values[i]))) continue;
    place.refuse(fmt::format("element {}", i), fmt::format("is {}", values[i]),
                 "weights must be finite: check the training, or replace the value");
  }
}

}  // namespace

GraphTensor convert_tensor(const TensorProto& proto, const std::string& file,
                           const std::string& where, bool allow_infinite) {
  const Place place{file, where};
  if (proto.data_location() == TensorProto::EXTERNAL || proto.external_data_size() != 0) {
    place.refuse("data_location", "is EXTERNAL, data must be in the file itself",
                 "save the network with all tensors in one file (onnx.save_model with "
                 "save_as_external_data=False)");
  }
  if (proto.has_segment()) {
    place.refuse("segment", "is set, tensors in segments are not supported",
                 "save the tensor in one piece");
  }
  const auto type = element_type(proto.data_type());
  if (!type) {
    place.refuse("data_type",
                 fmt::format("is {}, allowed float, uint8, int8, uint16, int16, int32, int64, bool",
                             TensorProto::DataType_IsValid(proto.data_type())
                                 ? TensorProto::DataType_Name(
                                       static_cast<TensorProto::DataType>(proto.data_type()))
                                 : std::to_string(proto.data_type())),
                 "export the network in float32");
  }
  GraphTensor tensor{.type = *type, .shape = {proto.dims().begin(), proto.dims().end()}};
  const int64_t elements = shape_elements(tensor.shape);
  if (elements < 0) {
    std::string text;
    for (const int64_t extent : tensor.shape) {
      text += (text.empty() ? "" : ", ") + std::to_string(extent);
    }
    place.refuse("dims",
                 fmt::format("are [{}], allowed are extents of 0 or more and at most {} elements",
                             text, kMaxTensorElements),
                 "the file is damaged: export the network again");
  }
  if (proto.has_raw_data()) {
    check_size(place, static_cast<int64_t>(proto.raw_data().size()),
               elements * element_bytes(*type), "bytes", tensor.shape);
    if (*type == ElementType::kFloat) {
      read_raw<float>(proto.raw_data(), tensor.floats);
    } else {
      read_raw_integers(*type, proto.raw_data(), tensor.integers);
    }
  } else if (*type == ElementType::kFloat) {
    check_size(place, proto.float_data_size(), elements, "elements", tensor.shape);
    tensor.floats.assign(proto.float_data().begin(), proto.float_data().end());
  } else if (*type == ElementType::kInt64) {
    check_size(place, proto.int64_data_size(), elements, "elements", tensor.shape);
    tensor.integers.assign(proto.int64_data().begin(), proto.int64_data().end());
  } else {  // int32_data holds every narrower integer
    check_size(place, proto.int32_data_size(), elements, "elements", tensor.shape);
    tensor.integers.assign(proto.int32_data().begin(), proto.int32_data().end());
  }
  check_finite(place, tensor.floats, allow_infinite);
  return tensor;
}

}  // namespace widthwise
