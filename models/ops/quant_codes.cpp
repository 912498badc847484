#include "models/ops/quant_codes.h"

#include "models/evaluation.h"
#include "models/operator.h"

namespace widthwise {

IntegerFormat code_format(const QonnxQuant& quant) {
  return quant.bipolar() ? IntegerFormat{2, true} : IntegerFormat{quant.bits, quant.is_signed};
}

Tensor quant_codes(const NodeView& node, const Tensor& reals, const QonnxQuant& quant) {
  if (reals.type() != ElementType::kFloat)
    node.refuse("x",
                std::string("is of type ") + element_type_name(reals.type()) + ", allowed float",
                "cast it to float");
  const auto from_scale = broadcast_source(quant.scale.shape(), reals.shape()),
             from_zero = broadcast_source(quant.zero_point.shape(), reals.shape());
  Tensor codes = node.output(element_type(code_format(quant)), reals.shape());
  const auto values = reals.values<float>(), scales = quant.scale.values<float>(),
             zeros = quant.zero_point.values<float>();
  visit_type(codes.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto to = codes.write<T>();
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] = static_cast<T>(quantize_code(values[i], scales[static_cast<size_t>(from_scale[i])],
                                           zeros[static_cast<size_t>(from_zero[i])], quant));
    }
  });
  return codes;
}

namespace {

std::vector<Shape> infer_shape(const NodeView& node) { return {node.shape(0)}; }

std::vector<Tensor> evaluate(const NodeView& node) {
  return {quant_codes(node, node.tensor(0, "x"), read_qonnx_quant(node))};
}

}  // namespace

// QuantCodes: the integers of QONNX's Quant, which a DequantizeLinear makes real again. fuse()
// makes it of Quant, so that what reads it can compute on integers.
extern const Operator kQuantCodes;
const Operator kQuantCodes{"QuantCodes",
                           {"narrow", "rounding_mode", "signed"},
                           4,
                           4,
                           infer_shape,
                           evaluate,
                           nullptr,
                           nullptr,
                           kOwnDomain};

}  // namespace widthwise
