#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "core/tensor.h"

namespace onnx {
class TensorProto;
}

namespace widthwise {

// Converts a constant: raw_data (little-endian), the typed field, or external data below `folder`,
// whose size must be that of the shape. The elements are taken out of the message, so that they
// are not in memory twice. Refused with InputError: other element types, absurd extents (before
// anything is allocated), external data outside of the folder, NaN and infinities unless
// `allow_infinite` (which lets infinities pass). `where` names the place.
Tensor convert_tensor(onnx::TensorProto& proto, const std::string& file, const std::string& where,
                      const std::filesystem::path& folder, bool allow_infinite = false);

// A file that holds one TensorProto, as the ONNX backend tests store inputs and outputs.
Tensor load_tensor_proto(const std::filesystem::path& path);
std::string tensor_proto_bytes(const Tensor& tensor, const std::string& name);

// The number that ONNX gives an element type.
int onnx_element_type(ElementType type);
// Nothing for types that are not known; the second refuses them.
std::optional<ElementType> element_type_of(int64_t onnx_type);
ElementType element_type_of(int onnx_type, const std::string& file, const std::string& where);

}  // namespace widthwise
