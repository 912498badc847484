#include <fmt/format.h>

#include <cmath>

#include "models/evaluation.h"
#include "models/operator.h"

namespace widthwise {
namespace {

// Mean and 1 / standard deviation of `count` elements.
struct Statistics {
  double mean, inverse;
};
template <class T>
Statistics statistics(const T* values, size_t count, double epsilon) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < count; ++i) sum += static_cast<double>(values[i]);
  const double mean = sum / static_cast<double>(count);
  for (size_t i = 0; i < count; ++i) {
    const double d = static_cast<double>(values[i]) - mean;
    squares += d * d;
  }
  return {mean, 1 / std::sqrt(squares / static_cast<double>(count) + epsilon)};
}

double epsilon(const NodeView& node) { return static_cast<double>(node.real("epsilon", 1e-5f)); }

std::vector<Shape> infer_instance(const NodeView& node) {
  const Shape& x = node.shape(0);
  if (x.size() < 2)
    node.refuse("input", fmt::format("has the shape {}, needed [N, C, ...]", shape_text(x)),
                "reshape it");
  for (const size_t i : {size_t{1}, size_t{2}}) {
    if (node.shape(i) != Shape{x[1]})
      node.refuse(i == 1 ? "scale" : "B",
                  fmt::format("has the shape {}, needed [{}]", shape_text(node.shape(i)), x[1]),
                  "export the network again");
  }
  return {x};
}

std::vector<Tensor> evaluate_instance(const NodeView& node) {
  infer_instance(node);
  Tensor y = node.tensor(0, "input");
  const auto scale = node.tensor(1, "scale").reals(), bias = node.tensor(2, "B").reals();
  visit_real(node, y, [&](auto stored) {
    using T = decltype(stored);
    const auto values = y.write<T>();
    const size_t planes = static_cast<size_t>(y.shape()[0]) * scale.size();
    const size_t pixels = planes == 0 ? 0 : values.size() / planes;
    for (size_t plane = 0; plane < planes; ++plane) {
      const auto own = values.subspan(plane * pixels, pixels);
      const Statistics s = statistics(own.data(), pixels, epsilon(node));
      const size_t c = plane % scale.size();
      for (T& value : own) {
        value =
            static_cast<T>((static_cast<double>(value) - s.mean) * s.inverse * scale[c] + bias[c]);
      }
    }
  });
  return {y};
}

size_t layer_axis(const NodeView& node) {
  return node.axis("axis", node.integer("axis", -1), node.shape(0).size());
}

std::vector<Shape> infer_layer(const NodeView& node) {
  const Shape& x = node.shape(0);
  const size_t axis = layer_axis(node);
  Shape outer = x;
  for (size_t i = axis; i < x.size(); ++i) outer[i] = 1;
  for (size_t i = 1; i < 3 && node.has_input(i); ++i) {
    if (broadcast_shape(node, x, node.shape(i)) != x)
      node.refuse(i == 1 ? "Scale" : "B",
                  fmt::format("has the shape {}, which does not broadcast to {}",
                              shape_text(node.shape(i)), shape_text(x)),
                  "export the network again");
  }
  return {x, outer, outer};
}

std::vector<Tensor> evaluate_layer(const NodeView& node) {
  const std::vector<Shape> shapes = infer_layer(node);
  Tensor y = node.tensor(0, "X");
  const auto parameter = [&](size_t i, double otherwise) {
    std::vector<double> values(static_cast<size_t>(y.elements()), otherwise);
    if (!node.has_input(i)) return values;
    const auto own = node.tensor(i, "parameter").reals();
    const auto from = broadcast_source(node.shape(i), y.shape());
    for (size_t k = 0; k < values.size(); ++k) values[k] = own[static_cast<size_t>(from[k])];
    return values;
  };
  const auto scale = parameter(1, 1), bias = parameter(2, 0);
  // The statistics are float (stash_type 1) but for doubles.
  Tensor mean = node.output(y.type(), shapes[1]), inverse = mean;
  visit_real(node, y, [&](auto stored) {
    using T = decltype(stored);
    const auto values = y.write<T>();
    const auto means = mean.write<T>(), inverses = inverse.write<T>();
    const size_t size = means.empty() ? 0 : values.size() / means.size();
    for (size_t line = 0; line < means.size(); ++line) {
      const Statistics s = statistics(values.data() + line * size, size, epsilon(node));
      means[line] = static_cast<T>(s.mean);
      inverses[line] = static_cast<T>(s.inverse);
      for (size_t i = line * size; i < (line + 1) * size; ++i) {
        values[i] = static_cast<T>(
            (static_cast<double>(values[i]) - s.mean) * s.inverse * scale[i] + bias[i]);
      }
    }
  });
  return {y, mean, inverse};
}

}  // namespace

// InstanceNormalization: every channel of every image by its own mean and variance, then scale and
// B per channel. LayerNormalization: the same over all axes from `axis` (-1) on, with Scale and B
// broadcast; mean and inverse standard deviation are outputs. Source: ONNX operators, opsets 1, 6,
// 17, 22.
extern const Operator kInstanceNormalization, kLayerNormalization;
const Operator kInstanceNormalization{"InstanceNormalization", {"epsilon"},      3, 3,
                                      infer_instance,          evaluate_instance};
const Operator kLayerNormalization{
    "LayerNormalization", {"axis", "epsilon", "stash_type"}, 2, 3, infer_layer, evaluate_layer};

}  // namespace widthwise
