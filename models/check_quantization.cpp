#include <fmt/format.h>

#include <cmath>

#include "models/fuse_passes.h"
#include "models/node_view.h"
#include "models/quantized_operands.h"

namespace widthwise {
namespace {

class Checker {
 public:
  Checker(const Graph& graph, const GraphNode& node) : node_(node), view_(graph, node, shapes_) {}

  void check(const OperandInputs& operand) const {
    if (const Tensor* scales = constant(operand.scale)) check_scales(operand.scale, *scales);
    const Tensor* zero_points = constant(operand.zero_point);
    if (zero_points == nullptr || integer_format(zero_points->type())) return;
    view_.refuse(input(operand.zero_point),
                 fmt::format("(zero point) is of type {}, allowed are integers",
                             element_type_name(zero_points->type())),
                 "give zero points the type of their codes");
  }

 private:
  const Tensor* constant(size_t i) const {
    return i == OperandInputs::kNone ? nullptr : view_.constant(i);
  }
  std::string input(size_t i) const { return fmt::format("input '{}'", node_.inputs[i]); }

  void check_scales(size_t i, const Tensor& scales) const {
    if (scales.type() != ElementType::kFloat)
      view_.refuse(
          input(i),
          fmt::format("(scale) is of type {}, allowed float", element_type_name(scales.type())),
          "store scales as float32");
    for (const float scale : scales.values<float>()) {
      if (std::isnormal(scale) && scale > 0) continue;
      view_.refuse(input(i),
                   fmt::format("(scale) holds {}, allowed are normal positive numbers", scale),
                   "calibrate again; a constant tensor can have scale 1");
    }
  }

  const GraphNode& node_;
  const ValueShapes shapes_;  // none are needed
  const NodeView view_;
};

}  // namespace

void check_quantization(const Graph& graph) {
  for (const GraphNode& node : graph.nodes) {
    const auto operands = quantized_operands(node);
    if (!operands) continue;
    const Checker checker(graph, node);
    for (const OperandInputs& ifmap : operands->ifmaps) checker.check(ifmap);
    if (operands->weight) checker.check(*operands->weight);
    if (operands->ofmap) checker.check(*operands->ofmap);
  }
}

}  // namespace widthwise
