#pragma once
#include "sim/byte_kernel.h"

namespace widthwise {

// Of kAvx512VnniByteKernels.
void chain_extremes(const ByteTile& tile);
void chain_census(const ChainJob& job);

}  // namespace widthwise
