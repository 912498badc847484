#pragma once
#include "models/ops/qonnx_quant.h"

namespace widthwise {

// The format of the codes of a Quant: its bits; -1 and +1 of the bipolar one take two.
IntegerFormat code_format(const QonnxQuant& quant);

// Codes of a tensor of reals, in the narrowest type of code_format().
Tensor quant_codes(const NodeView& node, const Tensor& reals, const QonnxQuant& quant);

}  // namespace widthwise
