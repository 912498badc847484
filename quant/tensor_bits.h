#pragma once
#include <vector>

#include "quant/quantize.h"

namespace widthwise {

// Where the codes of a tensor come from when it has no range of its own: data movement with one
// input, and max-pooling.
bool keeps_quantization(const FloatLayer& layer);

// Bits of every tensor, of each layer's weights, and of what it reads of its first input: fewer
// where it reads it through a rescaling layer.
struct TensorBits {
  std::vector<int> of_tensor;
  std::vector<int> of_ifmap;   // per layer
  std::vector<int> of_weight;  // per layer, of those with weights
};

// Throws InputError for readers of one tensor that ask for different bits, unless elementwise_bits
// says what it has.
TensorBits tensor_bits(const FloatNetwork& network, const QuantizationConfig& config);

}  // namespace widthwise
