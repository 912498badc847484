#pragma once
#include <filesystem>
#include <string>

#include "core/tensor.h"

namespace widthwise {

// A tensor from a file: .npy, .npz (its only member, or "<file>.npz:<member>"), or .pb, an ONNX
// TensorProto. Integers of another type than `wanted` are converted if every one fits it, and
// float64 to float32; everything else that differs is refused.
Tensor load_tensor(const std::string& file, ElementType wanted);

// As .npy; 4- and 2-bit codes as int8 or uint8.
void write_tensor(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace widthwise
