#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/evaluation.h"
#include "models/lowering.h"
#include "models/operator.h"

namespace widthwise {
namespace {

struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

double bound(const NodeView& node, size_t i, const char* name, double otherwise) {
  if (!node.has_input(i)) return otherwise;
  const Tensor* tensor = node.constant(i);
  if (tensor == nullptr || tensor->elements() != 1) {
    node.refuse(name, "must be one constant float", "export with constant limits");
  }
  return tensor->real(0);
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
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    r = {node.real("min", -kInfinity), node.real("max", kInfinity)};
  }
  return r;
}

// Limits that a layer can have.
Range layer_range(const NodeView& node) {
  const Range r = range(node);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!(r.low <= r.high && r.low < kInfinity && r.high > -kInfinity)) {  // NaN, too
    node.refuse("min, max", fmt::format("are {} and {}, min must not be above max", r.low, r.high),
                "exchange the limits");
  }
  return r;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  if (node.one_image()) layer_range(node);
  return {node.activation(0, "ifmap")};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const Range r = layer_range(node);
  builder.clamp(node, static_cast<float>(r.low), static_cast<float>(r.high));
}

// min(max(x, low), high): the upper limit decides where they are crossed. Integers of 64 bits are
// compared exactly.
std::vector<Tensor> evaluate(const NodeView& node) {
  const bool relu = node.node().op_type == "Relu";
  Tensor ofmap = node.tensor(0, "ifmap");
  const Range r = range(node);
  visit_type(ofmap.type(), [&](auto stored) {
    using T = decltype(stored);
    T low = std::numeric_limits<T>::lowest(), high = std::numeric_limits<T>::max();
    if constexpr (std::is_floating_point_v<T>) {
      low = static_cast<T>(r.low);
      high = static_cast<T>(r.high);
    } else {
      const auto limit = [&](size_t i, T otherwise) {
        if (relu || !node.has_input(i)) return otherwise;
        require_one_type(node, ofmap, node.tensor(i, "limit"));
        return static_cast<T>(node.tensor(i, "limit").integer(0));
      };
      low = relu ? T{0} : limit(1, low);
      high = limit(2, high);
    }
    for (T& value : ofmap.write<T>()) {
      value = value < low ? low : value;
      value = value > high ? high : value;
    }
  });
  return {ofmap};
}

}  // namespace

// Relu: max(0, x). Clip: limits to [min, max], attributes up to opset 10, constant inputs from 11.
// Both become the range of the layer before them or a clamp. Source: ONNX operators.
extern const Operator kRelu, kClip;
const Operator kRelu{"Relu", {}, 1, 1, infer_shape, evaluate, lower};
const Operator kClip{"Clip", {"max", "min"}, 1, 3, infer_shape, evaluate, lower};

}  // namespace widthwise
