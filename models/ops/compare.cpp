#include <fmt/format.h>

#include "models/evaluation.h"
#include "models/operator.h"

namespace widthwise {
namespace {

std::vector<Shape> infer_shape(const NodeView& node) {
  return {broadcast_shape(node, node.shape(0), node.shape(1))};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const std::string& type = node.node().op_type;
  if (type == "Equal") return {broadcast_bool(node, [](auto a, auto b) { return a == b; })};
  require_number(node, node.tensor(0, "A"));
  if (type == "Less") return {broadcast_bool(node, [](auto a, auto b) { return a < b; })};
  if (type == "Greater") return {broadcast_bool(node, [](auto a, auto b) { return a > b; })};
  if (type == "LessOrEqual") return {broadcast_bool(node, [](auto a, auto b) { return a <= b; })};
  return {broadcast_bool(node, [](auto a, auto b) { return a >= b; })};
}

void require_bool(const NodeView& node, size_t i) {
  const Tensor& tensor = node.tensor(i, "operand");
  if (tensor.type() == ElementType::kBool) return;
  node.refuse("type", fmt::format("is {}, allowed bool", element_type_name(tensor.type())),
              "cast it to bool");
}

std::vector<Tensor> evaluate_logic(const NodeView& node) {
  const std::string& type = node.node().op_type;
  require_bool(node, 0);
  require_bool(node, 1);
  return {broadcast_bool(node, [&](auto a, auto b) {
    const bool first = a != 0, second = b != 0;
    return type == "And" ? first && second : type == "Or" ? first || second : first != second;
  })};
}

std::vector<Shape> infer_not_shape(const NodeView& node) { return {node.shape(0)}; }

std::vector<Tensor> evaluate_not(const NodeView& node) {
  require_bool(node, 0);
  Tensor result = node.tensor(0, "X");
  for (uint8_t& value : result.write<uint8_t>()) value = value == 0;
  return {result};
}

}  // namespace

// Equal (any type), Less, Greater, LessOrEqual, GreaterOrEqual: bool, with broadcasting.
// Source: ONNX operators, opsets 7, 9, 11, 12, 13, 16, 19.
extern const Operator kEqual, kLess, kGreater, kLessOrEqual, kGreaterOrEqual;
const Operator kEqual{"Equal", {}, 2, 2, infer_shape, evaluate};
const Operator kLess{"Less", {}, 2, 2, infer_shape, evaluate};
const Operator kGreater{"Greater", {}, 2, 2, infer_shape, evaluate};
const Operator kLessOrEqual{"LessOrEqual", {}, 2, 2, infer_shape, evaluate};
const Operator kGreaterOrEqual{"GreaterOrEqual", {}, 2, 2, infer_shape, evaluate};

// And, Or, Xor, Not of bool. Source: ONNX operators, opsets 1, 7.
extern const Operator kAnd, kOr, kXor, kNot;
const Operator kAnd{"And", {}, 2, 2, infer_shape, evaluate_logic};
const Operator kOr{"Or", {}, 2, 2, infer_shape, evaluate_logic};
const Operator kXor{"Xor", {}, 2, 2, infer_shape, evaluate_logic};
const Operator kNot{"Not", {}, 1, 1, infer_not_shape, evaluate_not};

}  // namespace widthwise
