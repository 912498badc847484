#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "models/operator.h"

namespace widthwise {

// One line per operator. Constant is none: fold() turns it into an initializer.
// clang-format off
#define WIDTHWISE_OPERATORS(OPERATOR) \
  OPERATOR(kAbs) \
  OPERATOR(kAdd) \
  OPERATOR(kAnd) \
  OPERATOR(kArgMax) \
  OPERATOR(kArgMin) \
  OPERATOR(kAveragePool) \
  OPERATOR(kBatchNormalization) \
  OPERATOR(kBipolarQuant) \
  OPERATOR(kCast) \
  OPERATOR(kCastLike) \
  OPERATOR(kCeil) \
  OPERATOR(kClip) \
  OPERATOR(kConcat) \
  OPERATOR(kConstantOfShape) \
  OPERATOR(kConv) \
  OPERATOR(kConvDequantized) \
  OPERATOR(kConvInteger) \
  OPERATOR(kConvTranspose) \
  OPERATOR(kDepthToSpace) \
  OPERATOR(kDequantizeLinear) \
  OPERATOR(kDiv) \
  OPERATOR(kDropout) \
  OPERATOR(kDynamicQuantizeLinear) \
  OPERATOR(kElu) \
  OPERATOR(kEqual) \
  OPERATOR(kErf) \
  OPERATOR(kExp) \
  OPERATOR(kExpand) \
  OPERATOR(kFlatten) \
  OPERATOR(kFloor) \
  OPERATOR(kGather) \
  OPERATOR(kGatherElements) \
  OPERATOR(kGelu) \
  OPERATOR(kGemm) \
  OPERATOR(kGlobalAveragePool) \
  OPERATOR(kGlobalMaxPool) \
  OPERATOR(kGreater) \
  OPERATOR(kGreaterOrEqual) \
  OPERATOR(kHardSigmoid) \
  OPERATOR(kHardSwish) \
  OPERATOR(kIdentity) \
  OPERATOR(kInstanceNormalization) \
  OPERATOR(kIntQuant) \
  OPERATOR(kLayerNormalization) \
  OPERATOR(kLeakyRelu) \
  OPERATOR(kLess) \
  OPERATOR(kLessOrEqual) \
  OPERATOR(kLog) \
  OPERATOR(kLogSoftmax) \
  OPERATOR(kMatMul) \
  OPERATOR(kMatMulDequantized) \
  OPERATOR(kMatMulInteger) \
  OPERATOR(kMax) \
  OPERATOR(kMaxPool) \
  OPERATOR(kMean) \
  OPERATOR(kMin) \
  OPERATOR(kMul) \
  OPERATOR(kMultiThreshold) \
  OPERATOR(kNeg) \
  OPERATOR(kNot) \
  OPERATOR(kOr) \
  OPERATOR(kPRelu) \
  OPERATOR(kPad) \
  OPERATOR(kPow) \
  OPERATOR(kQGemm) \
  OPERATOR(kQLinearAdd) \
  OPERATOR(kQLinearAveragePool) \
  OPERATOR(kQLinearConcat) \
  OPERATOR(kQLinearConv) \
  OPERATOR(kQLinearGlobalAveragePool) \
  OPERATOR(kQLinearLeakyRelu) \
  OPERATOR(kQLinearMatMul) \
  OPERATOR(kQLinearMul) \
  OPERATOR(kQLinearSigmoid) \
  OPERATOR(kQLinearSoftmax) \
  OPERATOR(kQuant) \
  OPERATOR(kQuantCodes) \
  OPERATOR(kQuantizeLinear) \
  OPERATOR(kRange) \
  OPERATOR(kReciprocal) \
  OPERATOR(kReduceMax) \
  OPERATOR(kReduceMean) \
  OPERATOR(kReduceMin) \
  OPERATOR(kReduceSum) \
  OPERATOR(kRelu) \
  OPERATOR(kRequantize) \
  OPERATOR(kReshape) \
  OPERATOR(kResize) \
  OPERATOR(kRound) \
  OPERATOR(kSelu) \
  OPERATOR(kShape) \
  OPERATOR(kSigmoid) \
  OPERATOR(kSign) \
  OPERATOR(kSlice) \
  OPERATOR(kSoftmax) \
  OPERATOR(kSoftplus) \
  OPERATOR(kSoftsign) \
  OPERATOR(kSpaceToDepth) \
  OPERATOR(kSplit) \
  OPERATOR(kSqrt) \
  OPERATOR(kSqueeze) \
  OPERATOR(kSub) \
  OPERATOR(kSum) \
  OPERATOR(kTanh) \
  OPERATOR(kTile) \
  OPERATOR(kTranspose) \
  OPERATOR(kTrunc) \
  OPERATOR(kUnsqueeze) \
  OPERATOR(kUpsample) \
  OPERATOR(kWhere) \
  OPERATOR(kXor)
// clang-format on

#define WIDTHWISE_DECLARE(name) extern const Operator name;
#define WIDTHWISE_ADDRESS(name) &name,
WIDTHWISE_OPERATORS(WIDTHWISE_DECLARE)

namespace {
const Operator* const kOperators[] = {WIDTHWISE_OPERATORS(WIDTHWISE_ADDRESS)};
}

const Operator* find_operator(const std::string& domain, const std::string& name) {
  for (const Operator* op : kOperators) {
    if (name == op->name && domain == op->domain) return op;
  }
  return nullptr;
}

std::vector<std::string> operator_names() {
  std::vector<std::string> names = {"Constant"};
  for (const Operator* op : kOperators) {
    const std::string domain = op->domain;
    if (domain != kOwnDomain) names.push_back(domain + (domain.empty() ? "" : ".") + op->name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

const Operator& checked_operator(const NodeView& node) {
  const Operator* op = find_operator(node.node().domain, node.node().op_type);
  if (op == nullptr) {
    node.refuse("operator",
                fmt::format("is not supported; known are {}", list_names(operator_names())),
                "replace it by these, or simplify the graph (onnxsim) if it only computes shapes");
  }
  const size_t inputs = node.input_count();
  if (inputs < op->min_inputs || (op->max_inputs != 0 && inputs > op->max_inputs)) {
    node.refuse(
        "inputs",
        op->max_inputs == 0
            ? fmt::format("count is {}, allowed {} or more", inputs, op->min_inputs)
            : fmt::format("count is {}, allowed {}..{}", inputs, op->min_inputs, op->max_inputs),
        "the file is damaged: export the network again");
  }
  for (const auto& [name, value] : node.node().attributes) {
    if (std::find(op->attributes.begin(), op->attributes.end(), name) == op->attributes.end()) {
      node.refuse(name,
                  op->attributes.empty() ? "is an unknown attribute; the operator has none"
                                         : fmt::format("is an unknown attribute; known are {}",
                                                       list_names(op->attributes)),
                  "export with the operator's standard attributes only");
    }
  }
  return *op;
}

std::vector<Tensor> evaluate_node(const NodeView& node) {
  const Operator& op = checked_operator(node);
  for (const Shape& shape : op.infer_shape(node)) {
    if (shape_elements(shape) >= 0) continue;
    node.refuse("output",
                fmt::format("has the shape {}, allowed are at most {} elements", shape_text(shape),
                            kMaxTensorElements),
                "use a smaller input or batch");
  }
  std::vector<Tensor> outputs = op.evaluate(node);
  for (size_t i = outputs.size(); i < node.node().outputs.size(); ++i) {
    if (node.node().outputs[i].empty()) continue;
    node.refuse(fmt::format("output {} '{}'", i, node.node().outputs[i]), "is not supported",
                fmt::format("use the first {} only; export for inference", outputs.size()));
  }
  return outputs;
}

}  // namespace widthwise
