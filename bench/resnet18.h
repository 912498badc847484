#pragma once
#include <cstdint>
#include <vector>

#include "quant/quantized_network.h"

namespace widthwise {

// A network of ResNet-18's shape on [3, size, size]: random int8 weights, uint8 tensors, scales
// that give the codes of every tensor about the spread of a trained network's.
QuantizedNetwork resnet18(int64_t size);

std::vector<int32_t> random_images(const QuantizedNetwork& network, int64_t count);

}  // namespace widthwise
