#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/onnx_tensor.h"
#include "models/ops/quantized.h"

namespace widthwise {
namespace {

constexpr int kOnnxFloat = 1, kOnnxDouble = 11;  // numbers of TensorProto.DataType

// Which scale every element of x has.
struct Granularity {
  int64_t extent = 1, inner = 1;  // of the axis, and elements of the axes after it
  int64_t block = 0;              // elements of the axis that share a scale; 0: per tensor
  bool blocked = false;           // the axes before and after have scales of their own

  int64_t scale(int64_t i) const {
    if (block == 0) return 0;
    const int64_t at = i / inner % extent;
    if (!blocked) return at;
    const int64_t blocks = extent / block + (extent % block != 0);
    return (i / inner / extent * blocks + at / block) * inner + i % inner;
  }
};

Granularity granularity(const NodeView& node) {
  const Shape &x = node.shape(0), &scale = node.shape(1);
  const char* name = "scale";
  if (node.has_input(2) && node.shape(2) != scale) {
    const auto one = [](const Shape& shape) { return shape.empty() || shape == Shape{1}; };
    if (!one(scale) || !one(node.shape(2))) {
      node.refuse("zero_point",
                  fmt::format("has the shape {}, the scale {}", shape_text(node.shape(2)),
                              shape_text(scale)),
                  "give every scale one zero point");
    }
  }
  const int64_t block = node.integer("block_size", 0);
  if (block < 0)
    node.refuse("block_size", fmt::format("is {}, allowed 0 or more", block), "correct it");
  if (block == 0 && (scale.empty() || scale == Shape{1})) return {};
  const size_t axis = node.axis("axis", node.integer("axis", 1), x.size());
  Granularity g;
  g.extent = x[axis];
  for (size_t i = axis + 1; i < x.size(); ++i) g.inner *= x[i];
  g.block = 1;
  Shape wanted = {x[axis]};
  if (block != 0) {
    g.blocked = true;
    g.block = block;
    wanted = x;
    wanted[axis] = x[axis] / block + (x[axis] % block != 0);
  }
  if (scale != wanted) {
    node.refuse(
        name,
        fmt::format("has the shape {}, needed {} for an input of {}, axis {}, block size {}",
                    shape_text(scale), shape_text(wanted), shape_text(x), axis, block),
        "quantize per tensor, per axis or in blocks along one axis");
  }
  return g;
}

// The type of the codes: the zero point's, the attribute's, uint8. Kept in step with each other.
ElementType code_type(const NodeView& node) {
  const int64_t stated = node.integer("output_dtype", 0);
  const auto type = element_type_of(stated);
  const auto format = type ? integer_format(*type) : std::nullopt;
  if (stated != 0 && (!format || format->bits > 16 || *type == ElementType::kBool)) {
    node.refuse("output_dtype",
                fmt::format("is {}, allowed are uint8, int8, uint16, int16, uint4, int4, uint2, "
                            "int2 (2, 3, 4, 5, 21, 22, 25, 26)",
                            stated),
                "quantize to one of these");
  }
  if (!node.has_input(2)) return type.value_or(ElementType::kUint8);
  const ElementType found = node.tensor(2, "zero_point").type();
  operand_format(node, 2, "zero_point");
  if (type && *type != found)
    node.refuse(
        "output_dtype",
        fmt::format("is {}, the zero point {}", element_type_name(*type), element_type_name(found)),
        "leave one of them out");
  return found;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  granularity(node);
  return {node.shape(0)};
}

// Real is the type of the division.
template <class Real>
Tensor quantize(const NodeView& node, ElementType type) {
  const Tensor& x = node.tensor(0, "x");
  const Granularity g = granularity(node);
  const std::vector<float> scales = read_scales(node, 1, "y_scale");
  std::vector<int32_t> zero_points = read_zero_points(node, 2, "y_zero_point", type);
  zero_points.resize(scales.size(), 0);
  const IntegerFormat format = *integer_format(type);
  std::vector<int32_t> codes(static_cast<size_t>(x.elements()));
  for (int64_t i = 0; i < x.elements(); ++i) {
    const auto at = static_cast<size_t>(g.scale(i));
    const auto low = static_cast<Real>(format.min() - zero_points[at]),
               high = static_cast<Real>(format.max() - zero_points[at]);
    Real value = static_cast<Real>(x.real(i)) / static_cast<Real>(scales[at]);
    value = value > low ? value : low;  // NaN becomes the lowest code
    value = value < high ? value : high;
    codes[static_cast<size_t>(i)] = static_cast<int32_t>(std::nearbyint(value)) + zero_points[at];
  }
  return code_tensor(node, type, x.shape(), codes);
}

std::vector<Tensor> evaluate_quantize(const NodeView& node) {
  const ElementType type = code_type(node), from = node.tensor(0, "x").type();
  if (!is_real(from) && from != ElementType::kInt32) {
    node.refuse("x",
                fmt::format("is of type {}, allowed float, double, int32", element_type_name(from)),
                "cast it to float");
  }
  const int64_t precision = node.integer("precision", 0), saturate = node.integer("saturate", 1);
  if (precision != 0 && precision != kOnnxFloat && precision != kOnnxDouble)
    node.refuse("precision", fmt::format("is {}, allowed are float (1) and double (11)", precision),
                "leave it out");
  if (saturate != 0 && saturate != 1)  // decides about float8 only
    node.refuse("saturate", fmt::format("is {}, allowed 0 or 1", saturate), "leave it out");
  return {precision == kOnnxDouble ? quantize<double>(node, type) : quantize<float>(node, type)};
}

std::vector<Tensor> evaluate_dequantize(const NodeView& node) {
  const Tensor& x = node.tensor(0, "x");
  if (x.type() != ElementType::kInt32) operand_format(node, 0, "x");
  const int64_t output = node.integer("output_dtype", 0);
  if (output != 0 && output != kOnnxFloat)
    node.refuse("output_dtype", fmt::format("is {}, allowed is float (1)", output), "leave it out");
  const Granularity g = granularity(node);
  const std::vector<float> scales = read_scales(node, 1, "x_scale");
  std::vector<int32_t> zero_points = read_zero_points(node, 2, "x_zero_point", x.type());
  zero_points.resize(scales.size(), 0);
  if (x.type() == ElementType::kInt32 &&
      std::any_of(zero_points.begin(), zero_points.end(), [](int32_t z) { return z != 0; }))
    node.refuse("x_zero_point", "is not 0, which an input of int32 must have", "leave it out");
  Tensor y = node.output(ElementType::kFloat, x.shape());
  const auto to = y.write<float>();
  for (int64_t i = 0; i < x.elements(); ++i) {
    const auto at = static_cast<size_t>(g.scale(i));
    to[static_cast<size_t>(i)] = static_cast<float>(x.integer(i) - zero_points[at]) * scales[at];
  }
  return {y};
}

// Range of x extended to 0, in float32; a range of 0 has scale 1.
std::vector<Tensor> evaluate_dynamic(const NodeView& node) {
  const Tensor& x = node.float_constant(0, "x");
  float low = 0, high = 0;
  for (const float value : x.values<float>()) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const float scale = checked_scale(node, "scale of x", low == high ? 1 : (high - low) / 255);
  const float zero_point = std::nearbyint(std::clamp(0.0F - low / scale, 0.0F, 255.0F));
  std::vector<int32_t> codes;
  for (const float value : x.values<float>()) {
    const float code = std::clamp(value / scale, -zero_point, 255.0F - zero_point);
    codes.push_back(static_cast<int32_t>(std::nearbyint(code) + zero_point));
  }
  return {code_tensor(node, ElementType::kUint8, x.shape(), codes), Tensor::scalar(scale),
          Tensor(ElementType::kUint8, {}, std::vector<uint8_t>{static_cast<uint8_t>(zero_point)})};
}

std::vector<Shape> infer_dynamic_shape(const NodeView& node) {
  return {node.shape(0), Shape{}, Shape{}};
}

}  // namespace

// QuantizeLinear: y = saturate(rint(x / scale) + zero_point), a division in float32 (or
// `precision`) rounded half to even. DequantizeLinear: (x - zero_point) * scale in float32. Per
// tensor, per axis or in blocks along an axis. DynamicQuantizeLinear: to uint8, with scale and zero
// point from x. Source: ONNX operators, opsets 10, 13, 19, 21, 23, 24, 25; 11.
extern const Operator kQuantizeLinear, kDequantizeLinear, kDynamicQuantizeLinear;
const Operator kQuantizeLinear{"QuantizeLinear",
                               {"axis", "block_size", "output_dtype", "precision", "saturate"},
                               2,
                               3,
                               infer_shape,
                               evaluate_quantize};
const Operator kDequantizeLinear{
    "DequantizeLinear", {"axis", "block_size", "output_dtype"}, 2, 3, infer_shape,
    evaluate_dequantize};
const Operator kDynamicQuantizeLinear{"DynamicQuantizeLinear", {}, 1, 1, infer_dynamic_shape,
                                      evaluate_dynamic};

}  // namespace widthwise
