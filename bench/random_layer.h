#pragma once
#include <cstdint>
#include <random>
#include <vector>

#include "quant/quantized_network.h"

namespace widthwise {

// kRelu: Laplace weights; half of the ifmap's codes are 0, the rest half-normal. kDense: all codes
// are as likely, weights and ifmap.
enum class Data { kRelu, kDense };

// A convolution of a square ifmap, padded by half of its kernel.
struct ConvolutionShape {
  int64_t ifmaps = 1, ofmaps = 1, size = 1, kernel = 1, stride = 1, groups = 1;
};
Window window_of(const ConvolutionShape& shape);

// Uint8 x int8, without bias; tensors, scales and the name are the caller's.
QuantizedLayer random_layer(const ConvolutionShape& shape, Data data, std::mt19937& random);
std::vector<int32_t> random_codes(int64_t count, Data data, std::mt19937& random);

// Of kRelu.
inline constexpr double kWeightMean = 18;  // of the magnitudes
inline constexpr double kCodeSigma = 60;   // before negative codes become 0

}  // namespace widthwise
