#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/lowering.h"
#include "models/operator.h"

namespace widthwise {
namespace {

struct Range {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

float bound(const NodeView& node, size_t i, const char* name, float otherwise) {
  if (!node.has_input(i)) return otherwise;
  const GraphTensor* tensor = node.constant(i);
  if (tensor == nullptr || tensor->floats.size() != 1) {
    node.refuse(name, "must be one constant float", "export with constant limits");
  }
  return tensor->floats[0];
}

Range range(const NodeView& node) {
  if (node.node().op_type == "Relu") return {.low = 0};
  Range r;
  if (node.opset() >= 11) {
    for (const char* name : {"min", "max"}) {
      if (node.has(name))
        node.refuse(name, fmt::format("is an attribute, in opset {} it is an input", node.opset()),
                    "export the network again");
    }
    r = {bound(node, 1, "min", r.low), bound(node, 2, "max", r.high)};
  } else {
    if (node.input_count() > 1)
      node.refuse("inputs", "count is above 1, limits are attributes before opset 11",
                  "export the network again");
    r = {node.real("min", r.low), node.real("max", r.high)};
  }
  const bool ordered = r.low <= r.high && r.low < std::numeric_limits<float>::infinity() &&
                       r.high > -std::numeric_limits<float>::infinity();
  if (!ordered) {  // NaN, too
    node.refuse("min, max", fmt::format("are {} and {}, min must not be above max", r.low, r.high),
                "exchange the limits");
  }
  return r;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  range(node);
  return {node.activation(0, "ifmap")};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const Range r = range(node);
  builder.clamp(node, r.low, r.high);
}

std::vector<Values> reference(const NodeView& node, const std::vector<Values>& inputs) {
  const Range r = range(node);
  Values ofmap = inputs[0];
  for (double& value : ofmap) {
    value = std::clamp(value, static_cast<double>(r.low), static_cast<double>(r.high));
  }
  return {ofmap};
}

}  // namespace

// Relu: max(0, x). Clip: limits to [min, max], attributes up to opset 10, constant inputs from 11.
// Both become the range of the layer before them or a clamp. Source: ONNX operators.
extern const Operator kRelu, kClip;
const Operator kRelu{"Relu", {}, 1, 1, infer_shape, lower, reference};
const Operator kClip{"Clip", {"max", "min"}, 1, 3, infer_shape, lower, reference};

}  // namespace widthwise
