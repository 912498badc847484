#include "models/ops/quantized.h"

namespace widthwise {
namespace {

enum Input { kX, kXScale, kXZeroPoint, kYScale, kYZeroPoint };

std::vector<Shape> infer_shape(const NodeView& node) { return {node.shape(kX)}; }

std::vector<Tensor> requantize(const NodeView& node, const RequantizeConfig& config) {
  const OperandCodes x = read_operand_codes(node, kX, kXScale, kXZeroPoint, "x");
  const OutputCodes y = read_output_codes(node, kYScale, kYZeroPoint, ElementType::kUint8);
  const ElementwiseRequantizer to_code = make_requantizer(node, config, {x}, y);
  std::vector<int32_t> codes = codes_of(x.tensor);
  for (int32_t& code : codes) code = to_code(code);
  return {code_tensor(node, y.type, x.tensor.shape(), codes)};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return requantize(node, kOnnxRuntimeArithmetic);
}

}  // namespace

// Requantize: codes of one scale and zero point to another one. With float32 it is DequantizeLinear
// and QuantizeLinear; q_min and q_max are the limits of a Relu or Clip between them, `operator` its
// name. fuse() makes it for a datapath.
extern const Operator kRequantize;
const Operator kRequantize{"Requantize",
                           {"operator", "q_max", "q_min"},
                           5,
                           5,
                           infer_shape,
                           evaluate,
                           nullptr,
                           nullptr,
                           kOwnDomain,
                           requantize};

}  // namespace widthwise
