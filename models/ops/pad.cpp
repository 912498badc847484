#include "models/ops/pad.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/evaluation.h"
#include "models/movement.h"

namespace widthwise {
namespace {

// Elements added before and after every axis; negative ones are cut off.
struct Pads {
  std::vector<int64_t> before, after;
};

Pads pads(const NodeView& node) {
  const size_t rank = node.shape(0).size();
  const auto stated =
      node.opset() >= 11 ? node.integer_constant(1, "pads") : node.integers("pads", {});
  std::vector<int64_t> axes = identity_source(static_cast<int64_t>(rank));
  if (node.has_input(3)) axes = node.integer_constant(3, "axes");
  if (stated.size() != 2 * axes.size()) {
    node.refuse("pads", fmt::format("has {} entries, needed {}", stated.size(), 2 * axes.size()),
                "give two per axis: all at the begin, then all at the end");
  }
  Pads p{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = node.axis("axes", axes[i], rank);
    p.before[axis] = stated[i];
    p.after[axis] = stated[i + axes.size()];
    for (const int64_t pad : {p.before[axis], p.after[axis]}) {
      if (pad < -kMaxTensorElements || pad > kMaxTensorElements)
        node.refuse("pads", fmt::format("holds {}", pad), "correct it");
    }
  }
  return p;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  if (node.one_image() && !pads_nothing(node)) {
    node.refuse("pads",
                fmt::format("are {}, allowed are zeros only",
                            shape_text(node.opset() >= 11 ? node.integer_constant(1, "pads")
                                                          : node.integers("pads", {}))),
                "use the pads of the Conv or pooling after it");
  }
  const Pads p = pads(node);
  Shape shape = node.shape(0);
  for (size_t i = 0; i < shape.size(); ++i) {
    shape[i] += p.before[i] + p.after[i];
    if (shape[i] < 0)
      node.refuse("pads", fmt::format("cut more than axis {} has", i), "correct them");
  }
  return {shape};
}

// Where element `at` of a padded axis comes from; -1: the constant.
int64_t source(const NodeView& node, const std::string& mode, int64_t at, int64_t extent) {
  if (at >= 0 && at < extent) return at;
  if (mode == "constant") return -1;
  if (extent == 0) node.refuse("mode", "is not constant for an empty axis", "use constant");
  if (mode == "edge") return at < 0 ? 0 : extent - 1;
  if (mode == "wrap") return (at % extent + extent) % extent;
  if (mode != "reflect")
    node.refuse("mode", fmt::format("is {}, allowed constant, edge, reflect, wrap", mode),
                "correct it");
  const int64_t period = std::max<int64_t>(2 * (extent - 1), 1);
  const int64_t folded = (at % period + period) % period;
  return extent == 1 ? 0 : std::min(folded, period - folded);
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Tensor& data = node.tensor(0, "data");
  const Pads p = pads(node);
  const Shape shape = infer_shape(node)[0];
  const std::string mode = node.text("mode", "constant");
  Tensor result = node.output(data.type(), shape);
  std::vector<std::vector<int64_t>> maps;  // by axis
  for (size_t i = 0; i < shape.size(); ++i) {
    auto& map = maps.emplace_back();
    for (int64_t at = 0; at < shape[i]; ++at)
      map.push_back(source(node, mode, at - p.before[i], data.shape()[i]));
  }
  visit_type(data.type(), [&](auto stored) {
    using T = decltype(stored);
    T constant{};
    if (node.opset() < 11) {
      constant = truncated<T>(static_cast<double>(node.real("value", 0)));
    } else if (node.has_input(2) && node.tensor(2, "constant_value").elements() == 1) {
      const Tensor& value = node.tensor(2, "constant_value");
      require_one_type(node, data, value);
      constant = value.values<T>()[0];
    }
    const auto from = data.values<T>();
    const auto strides = row_major_strides(data.shape());
    std::vector<size_t> index(shape.size(), 0);
    for (T& to : result.write<T>()) {
      int64_t at = 0;
      bool inside = true;
      for (size_t i = 0; i < shape.size(); ++i) {
        inside = inside && maps[i][index[i]] >= 0;
        at += maps[i][index[i]] * strides[i];
      }
      to = inside ? from[static_cast<size_t>(at)] : constant;
      for (size_t i = shape.size(); i-- > 0;) {
        if (++index[i] < static_cast<size_t>(shape[i])) break;
        index[i] = 0;
      }
    }
  });
  return {result};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, {identity_source(shape_elements(node.shape(0)))});
}

}  // namespace

bool pads_nothing(const NodeView& node) {
  if (node.node().op_type != "Pad") return false;
  if (node.opset() >= 11 && node.constant(1) == nullptr) return false;
  const auto stated =
      node.opset() >= 11 ? node.integer_constant(1, "pads") : node.integers("pads", {});
  return std::all_of(stated.begin(), stated.end(), [](int64_t pad) { return pad == 0; });
}

// Pad: constant (the default), edge, reflect, wrap; negative pads cut off. As a layer only by
// zeros, which is a copy. Source: ONNX operator, opsets 2, 11, 13, 18, 19, 21.
extern const Operator kPad;
const Operator kPad{"Pad", {"mode", "pads", "value"}, 1, 4, infer_shape, evaluate, lower};

}  // namespace widthwise
