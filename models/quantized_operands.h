#pragma once
#include <optional>
#include <vector>

#include "models/graph.h"
#include "models/integer_matmul.h"
#include "models/node_view.h"

namespace widthwise {

// One operand of a quantized operator: which input holds its codes, scale and zero point.
struct OperandInputs {
  static constexpr size_t kNone = static_cast<size_t>(-1);
  size_t codes = kNone, scale = kNone, zero_point = kNone;  // codes kNone: the output
};

// Where a quantized operator has what. Nothing for other operators.
struct QuantizedOperands {
  std::vector<OperandInputs> ifmaps;
  std::optional<OperandInputs> weight, ofmap;
  size_t bias = OperandInputs::kNone;
};
std::optional<QuantizedOperands> quantized_operands(const GraphNode& node);

// The reductions of a node with a MacOperator for known shapes. What depends on the input is left
// out: the codes of the ifmap, and of weights and bias if they are computed.
std::vector<IntegerMatmul> static_matmuls(const NodeView& node);

}  // namespace widthwise
