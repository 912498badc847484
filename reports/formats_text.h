#pragma once
#include <string>

#include "quant/quantized_network.h"

namespace widthwise {

// A table with a line for each layer: the formats that it reads, multiplies by and writes.
std::string formats_text(const QuantizedNetwork& network);

}  // namespace widthwise
