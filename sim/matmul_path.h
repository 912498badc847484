#pragma once
#include <optional>

#include "sim/byte_layer.h"
#include "sim/packed_matmul.h"

namespace widthwise {

// How the sums of a matmul layer are computed: by the kernels where they are exact for this layer,
// of which those for bytes are the faster ones, else (all are empty) by the reference.
struct MatmulPath {
  std::shared_ptr<const ByteLayer> bytes;
  std::optional<PackedMatmul> packed;
  std::optional<PackedMatmul> exact;  // exact sums beside it, where outputs wrong are counted
  int wrap_bits = 0;                  // > 0: the kernel's sums are exact and wrap here

  // want_bytes: the caller can take and give bytes.
  static MatmulPath choose(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                           const Accumulation& accumulation, bool count, bool want_bytes,
                           const KernelTable& kernels);
};

// A chain that no sum of 16-bit operands leaves, in the stated order and with the stated bias.
Accumulation exact_accumulation(const Accumulation& accumulation);

}  // namespace widthwise
