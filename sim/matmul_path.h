#pragma once
#include <optional>

#include "sim/packed_matmul.h"

namespace widthwise {

// How the sums of a matmul layer are computed: by the kernels where they are exact for this layer,
// else (packed is empty) by the reference.
struct MatmulPath {
  std::optional<PackedMatmul> packed;
  std::optional<PackedMatmul> exact;  // exact sums beside it, where outputs wrong are counted
  int wrap_bits = 0;                  // > 0: the kernel's sums are exact and wrap here

  static MatmulPath choose(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                           const Accumulation& accumulation, bool count,
                           const KernelTable& kernels);
};

// A chain that no sum of 16-bit operands leaves, in the stated order and with the stated bias.
Accumulation exact_accumulation(const Accumulation& accumulation);

}  // namespace widthwise
