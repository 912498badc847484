#include <fmt/format.h>

#include <algorithm>

#include "models/operator.h"

namespace widthwise {
namespace {

// As QONNX's executor has it: axis 1 of [N, C] and [N, C, H, W], axis 3 of [N, H, W, C], the last
// axis of every other rank.
size_t channel_axis(const NodeView& node) {
  const size_t rank = node.shape(0).size();
  const std::string layout = node.text("data_layout", "NCHW");
  if (rank == 0) node.refuse("x", "is a scalar, needed is an axis of channels", "reshape it");
  if (layout != "NCHW" && layout != "NHWC")
    node.refuse("data_layout", fmt::format("is {}, allowed NCHW, NHWC", layout), "correct it");
  if (layout == "NHWC" && rank != 2 && rank != 4)
    node.refuse("data_layout", fmt::format("is NHWC for {} axes, allowed 2 or 4", rank),
                "leave it out: the last axis is the channels");
  return rank == 2 || (rank == 4 && layout == "NCHW") ? 1 : rank - 1;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const size_t axis = channel_axis(node);
  const Shape &x = node.shape(0), &thresholds = node.shape(1);
  if (thresholds.size() != 2 || (thresholds[0] != 1 && thresholds[0] != x[axis])) {
    node.refuse("thresholds",
                fmt::format("have the shape {} for an input of {}, needed [1 or {}, count]",
                            shape_text(thresholds), shape_text(x), x[axis]),
                "give one row of thresholds, or one per channel");
  }
  return {x};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Tensor& x = node.tensor(0, "x");
  const Tensor& thresholds = node.float_constant(1, "thresholds");
  if (x.type() != ElementType::kFloat)
    node.refuse("x", fmt::format("is of type {}, allowed float", element_type_name(x.type())),
                "cast it to float");
  const size_t axis = channel_axis(node);
  const double scale = static_cast<double>(node.real("out_scale", 1)),
               bias = static_cast<double>(node.real("out_bias", 0));
  size_t inner = 1;
  for (size_t i = axis + 1; i < x.rank(); ++i) inner *= static_cast<size_t>(x.shape()[i]);
  const auto channels = static_cast<size_t>(x.shape()[axis]),
             rows = static_cast<size_t>(thresholds.shape()[0]),
             count = static_cast<size_t>(thresholds.shape()[1]);
  const auto values = x.values<float>(), steps = thresholds.values<float>();
  Tensor y = node.output(ElementType::kFloat, x.shape());
  const auto to = y.write<float>();
  for (size_t i = 0; i < to.size(); ++i) {
    const size_t row = rows == 1 ? 0 : i / inner % channels;
    const auto own = steps.subspan(row * count, count);
    const auto reached =
        std::count_if(own.begin(), own.end(), [&](float step) { return values[i] >= step; });
    to[i] = static_cast<float>(scale * static_cast<double>(reached) + bias);
  }
  return {y};
}

}  // namespace

// MultiThreshold: out_scale * (number of the channel's thresholds that x reaches) + out_bias, in
// double and rounded to float32 once. out_dtype is a note for other tools.
// Source: QONNX's operator, opset 1.
extern const Operator kMultiThreshold;
const Operator kMultiThreshold{"MultiThreshold",
                               {"data_layout", "out_bias", "out_dtype", "out_scale"},
                               2,
                               2,
                               infer_shape,
                               evaluate,
                               nullptr,
                               nullptr,
                               kQonnxDomain};

}  // namespace widthwise
