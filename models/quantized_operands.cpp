#include "models/quantized_operands.h"

#include <deque>
#include <map>

#include "models/operator.h"

namespace widthwise {

std::optional<QuantizedOperands> quantized_operands(const GraphNode& node) {
  constexpr size_t kNone = OperandInputs::kNone;
  const OperandInputs first{0, 1, 2}, second{3, 4, 5};
  const std::string& op = node.op_type;
  if (op == "QLinearConv" || op == "QLinearMatMul")
    return QuantizedOperands{{first}, second, OperandInputs{kNone, 6, 7}, 8};
  if (op == "ConvDequantized" || op == "MatMulDequantized")
    return QuantizedOperands{{first}, second, std::nullopt, 6};
  if (op == "QGemm") {
    QuantizedOperands operands{{first}, second, std::nullopt, 6};
    if (node.inputs.size() > 7 && !node.inputs[7].empty())
      operands.ofmap = OperandInputs{kNone, 7, 8};
    return operands;
  }
  if (op == "ConvInteger" || op == "MatMulInteger")
    return QuantizedOperands{{{0, kNone, 2}}, OperandInputs{1, kNone, 3}, std::nullopt, 4};
  if (op == "QLinearAdd" || op == "QLinearMul")
    return QuantizedOperands{{first, second}, std::nullopt, OperandInputs{kNone, 6, 7}};
  if (op == "QLinearAveragePool" || op == "QLinearGlobalAveragePool" || op == "QLinearLeakyRelu" ||
      op == "QLinearSigmoid" || op == "QLinearSoftmax" || op == "Requantize")
    return QuantizedOperands{{first}, std::nullopt, OperandInputs{kNone, 3, 4}};
  if (op == "QuantizeLinear")
    return QuantizedOperands{{}, std::nullopt, OperandInputs{kNone, 1, 2}};
  if (op == "DequantizeLinear") return QuantizedOperands{{first}, std::nullopt, std::nullopt};
  if (op != "QLinearConcat") return std::nullopt;
  QuantizedOperands operands{{}, std::nullopt, OperandInputs{kNone, 0, 1}};
  for (size_t i = 2; i + 2 < node.inputs.size(); i += 3)
    operands.ifmaps.push_back({i, i + 1, i + 2});
  return operands;
}

std::vector<IntegerMatmul> static_matmuls(const NodeView& node) {
  const auto operands = quantized_operands(node.node());
  std::deque<Tensor> made;  // addresses stay
  std::vector<const Tensor*> inputs;
  ValueShapes shapes;
  for (size_t i = 0; i < node.input_count(); ++i) {
    inputs.push_back(node.constant(i));
    if (!node.has_input(i) || inputs.back() != nullptr) continue;
    shapes[node.node().inputs[i]] = node.shape(i);
    Tensor stand_in(ElementType::kUint8, {0});
    const auto look = [&](const OperandInputs& operand) {
      const Tensor* codes =
          operand.codes == OperandInputs::kNone ? nullptr : node.constant(operand.codes);
      const Tensor* zero_point =
          operand.zero_point == OperandInputs::kNone ? nullptr : node.constant(operand.zero_point);
      if (operand.codes == i && zero_point != nullptr) stand_in = {zero_point->type(), {0}};
      if (operand.scale == i) stand_in = Tensor::scalar(1);
      if (operand.zero_point == i)
        stand_in = {codes != nullptr ? codes->type() : ElementType::kUint8, Shape{}};
    };
    if (operands) {
      for (const OperandInputs& ifmap : operands->ifmaps) look(ifmap);
      if (operands->weight) look(*operands->weight);
      if (operands->ofmap) look(*operands->ofmap);
      if (operands->bias == i) stand_in = {ElementType::kInt32, {0}};
    }
    made.push_back(std::move(stand_in));
    inputs.back() = &made.back();
  }
  return checked_operator(node).mac->matmuls(
      NodeView(node.graph(), node.node(), std::move(inputs), shapes));
}

}  // namespace widthwise
