#pragma once
#include <string>

#include "models/graph.h"

namespace onnx {
class TensorProto;
}

namespace widthwise {

// Converts a constant: raw_data (little-endian) or the typed field, whose size must be that of the
// shape. Refused with InputError: external data, other element types, absurd extents (before
// anything is allocated), NaN and infinities unless `allow_infinite`. `where` names the place.
GraphTensor convert_tensor(const onnx::TensorProto& proto, const std::string& file,
                           const std::string& where, bool allow_infinite = false);

}  // namespace widthwise
