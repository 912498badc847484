#pragma once
#include "models/node_view.h"
#include "models/ops/quantized.h"

namespace widthwise {

// A QLinearAdd whose inputs are bound, its operands in the order in which ONNX Runtime adds them:
// a code of the result is ElementwiseRequantizer(first code + first.up, second code + second.up) -
// up, with the zero points as they are here.
struct QuantizedSum {
  struct Operand {
    OperandCodes codes;  // zero point: with `up`
    int32_t up;          // code_offset
  };
  Operand first, second;
  OutputCodes output;  // with `up`
  int32_t up;
};
QuantizedSum quantized_sum(const NodeView& node);

}  // namespace widthwise
