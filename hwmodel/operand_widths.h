#pragma once
#include "hwmodel/accelerator.h"

namespace widthwise {

// Widths of one layer's operands.
struct OperandWidths {
  int ifmap_bits = 8, weight_bits = 8;
  int accumulator_bits = 32;  // of the outermost chain
  int ofmap_bits = 8;         // as written to memory, after requantization
};

// kInteger: adders and multipliers of the stated widths. kFloat32: the same counts with FP32
// multipliers and adders and 32-bit words; the baseline of a saving.
enum class Arithmetic { kInteger, kFloat32 };

// Widths that the array must have for every layer: the widest of the datapath and its overrides.
OperandWidths array_widths(const Accelerator& accelerator);

}  // namespace widthwise
