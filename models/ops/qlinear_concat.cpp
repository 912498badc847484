#include <fmt/format.h>

#include "models/movement.h"
#include "models/ops/quantized.h"

namespace widthwise {
namespace {

enum Input { kYScale, kYZeroPoint, kFirst };  // then tensor, scale and zero point of every operand
constexpr size_t kPerOperand = 3;

size_t checked_axis(const NodeView& node) {
  if (node.input_count() < kFirst + kPerOperand || (node.input_count() - kFirst) % kPerOperand != 0)
    node.refuse("inputs", fmt::format("count is {}, allowed 2 + 3 per operand", node.input_count()),
                "give every operand its scale and zero point");
  if (!node.has("axis")) node.refuse("axis", "is missing", "state the axis");
  const Shape& first = node.shape(kFirst);
  const size_t axis = node.axis("axis", node.integer("axis", 0), first.size());
  for (size_t i = kFirst; i < node.input_count(); i += kPerOperand) {
    Shape other = node.shape(i);
    if (other.size() == first.size()) other[axis] = first[axis];
    if (other != first) {
      node.refuse("shapes",
                  fmt::format("{} and {} differ beyond axis {}", shape_text(first),
                              shape_text(node.shape(i)), axis),
                  "export the network again");
    }
  }
  return axis;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const size_t axis = checked_axis(node);
  Shape shape = node.shape(kFirst);
  for (size_t i = kFirst + kPerOperand; i < node.input_count(); i += kPerOperand)
    shape[axis] += node.shape(i)[axis];
  return {shape};
}

std::vector<Tensor> requantize(const NodeView& node, const RequantizeConfig& config) {
  const size_t axis = checked_axis(node);
  const OutputCodes y = read_output_codes(node, kYScale, kYZeroPoint, ElementType::kUint8);
  const Shape shape = infer_shape(node)[0];
  const int64_t elements = shape_elements(shape);
  if (elements < 0) node.refuse("output", "is too large", "concatenate less");
  std::vector<int32_t> codes(static_cast<size_t>(elements));
  size_t inner = 1, before = 0;  // elements of a run that lie before this operand's
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= static_cast<size_t>(shape[i]);
  for (size_t i = kFirst; i < node.input_count(); i += kPerOperand) {
    const OperandCodes x = read_operand_codes(node, i, i + 1, i + 2, "x");
    const ElementwiseRequantizer to_code = make_requantizer(node, config, {x}, y);
    const std::vector<int32_t> from = codes_of(x.tensor);
    const size_t run = static_cast<size_t>(x.tensor.shape()[axis]) * inner,
                 whole = static_cast<size_t>(shape[axis]) * inner;
    for (size_t k = 0; k < from.size(); ++k)
      codes[k / run * whole + before + k % run] = to_code(from[k]);
    before += run;
  }
  return {code_tensor(node, y.type, shape, codes)};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return requantize(node, kOnnxRuntimeArithmetic);
}

}  // namespace

// QLinearConcat: operands with a scale and a zero point each, requantized to the output's and laid
// end to end along `axis`. q_min and q_max are no part of it.
// Source: ONNX Runtime's com.microsoft operator, version 1.
extern const Operator kQLinearConcat;
const Operator kQLinearConcat{
    "QLinearConcat", {"axis", "q_max", "q_min"}, 5,         0, infer_shape, evaluate, nullptr,
    nullptr,         kMicrosoftDomain,           requantize};

}  // namespace widthwise
