#include "models/ops/qonnx_quant.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "models/evaluation.h"
#include "models/ops/quantized.h"

namespace widthwise {
namespace {

constexpr int kMaxBits = 32;

struct RoundingName {
  const char* name;
  QonnxRounding rounding;
};
constexpr RoundingName kRoundingNames[] = {
    {"ROUND", QonnxRounding::kHalfEven},   {"HALF_EVEN", QonnxRounding::kHalfEven},
    {"CEIL", QonnxRounding::kCeil},        {"FLOOR", QonnxRounding::kFloor},
    {"UP", QonnxRounding::kAwayFromZero},  {"DOWN", QonnxRounding::kTowardZero},
    {"HALF_UP", QonnxRounding::kHalfAway}, {"HALF_DOWN", QonnxRounding::kHalfTowardZero},
};

// One integer that a float or integer tensor of one element holds.
int read_bits(const NodeView& node, size_t i, const char* what) {
  const Tensor& tensor = node.tensor(i, what);
  if (tensor.elements() != 1)
    node.refuse(what,
                fmt::format("has the shape {}, allowed is one value", shape_text(tensor.shape())),
                "use one width for the whole tensor");
  const double bits = tensor.real(0);
  if (!(bits >= 1 && bits <= kMaxBits) || bits != std::floor(bits)) {
    node.refuse(what, fmt::format("is {}, allowed are integers 1..{}", bits, kMaxBits),
                "round it up to a whole number of bits");
  }
  return static_cast<int>(bits);
}

// Checked scales of input i, which must broadcast to input 0.
Tensor read_scale_tensor(const NodeView& node, size_t i, const char* what) {
  const std::vector<float> scales = read_scales(node, i, what);
  if (broadcast_shape(node, node.shape(i), node.shape(0)) != node.shape(0))
    node.refuse(what,
                fmt::format("has the shape {}, which does not broadcast to the input's {}",
                            shape_text(node.shape(i)), shape_text(node.shape(0))),
                "give one scale, or one per channel");
  return node.tensor(i, what);
}

Tensor read_zero_point_tensor(const NodeView& node, size_t i) {
  const Tensor& tensor = node.tensor(i, "zero_point");
  std::vector<float> values;
  for (const double value : tensor.reals()) {
    if (!(std::abs(value) <= std::ldexp(1.0, kMaxBits)) || value != std::floor(value)) {
      node.refuse("zero_point",
                  fmt::format("is {}, allowed are integers of {} bits", value, kMaxBits),
                  "round the zero point; a fractional one has no integer hardware");
    }
    values.push_back(static_cast<float>(value));
  }
  if (broadcast_shape(node, tensor.shape(), node.shape(0)) != node.shape(0))
    node.refuse("zero_point",
                fmt::format("has the shape {}, which does not broadcast to the input's {}",
                            shape_text(tensor.shape()), shape_text(node.shape(0))),
                "give one zero point, or one per channel");
  return Tensor::floats(tensor.shape(), values);
}

bool read_flag(const NodeView& node, const char* name) {
  if (!node.has(name)) node.refuse(name, "is missing", "state it; QONNX has no default for it");
  const int64_t value = node.integer(name, 0);
  if (value != 0 && value != 1)
    node.refuse(name, fmt::format("is {}, allowed 0 or 1", value), "correct it");
  return value == 1;
}

float sign(float value) {
  return value > 0 ? 1.0F : value < 0 ? -1.0F : std::isnan(value) ? value : 0.0F;
}

float clamp_to(float value, QonnxRange range) {  // NaN stays
  const auto low = static_cast<float>(range.low), high = static_cast<float>(range.high);
  value = value > high ? high : value;
  return value < low ? low : value;
}

float real_code(float x, float scale, float zero_point, const QonnxQuant& quant, QonnxRange range) {
  const float value = x / scale + zero_point;
  if (quant.bipolar()) return value >= 0 ? 1.0F : -1.0F;
  return round_qonnx(clamp_to(value, range), quant.rounding);
}

const Tensor& float_input(const NodeView& node) {
  const Tensor& x = node.tensor(0, "x");
  if (x.type() != ElementType::kFloat)
    node.refuse("x", fmt::format("is of type {}, allowed float", element_type_name(x.type())),
                "cast it to float");
  return x;
}

// f(x, elements of the tensors that belong to it) for every element of input 0.
template <class Function>
std::vector<Tensor> map_with(const NodeView& node, const Tensor& scale, const Tensor& zero_point,
                             const Function& f) {
  const Tensor& x = float_input(node);
  const auto from_scale = broadcast_source(scale.shape(), x.shape()),
             from_zero = broadcast_source(zero_point.shape(), x.shape());
  const auto values = x.values<float>(), scales = scale.values<float>(),
             zeros = zero_point.values<float>();
  Tensor y = node.output(ElementType::kFloat, x.shape());
  const auto to = y.write<float>();
  for (size_t i = 0; i < to.size(); ++i) {
    to[i] = f(values[i], scales[static_cast<size_t>(from_scale[i])],
              zeros[static_cast<size_t>(from_zero[i])]);
  }
  return {y};
}

std::vector<Shape> infer_shape(const NodeView& node) { return {node.shape(0)}; }

std::vector<Tensor> evaluate_quant(const NodeView& node) {
  const QonnxQuant quant = read_qonnx_quant(node);
  const QonnxRange range = q_range(quant.bits, quant.is_signed, quant.narrow);
  return map_with(node, quant.scale, quant.zero_point, [&](float x, float scale, float zero_point) {
    return (real_code(x, scale, zero_point, quant, range) - zero_point) * scale;
  });
}

std::vector<Tensor> evaluate_bipolar(const NodeView& node) {
  return map_with(node, read_scale_tensor(node, 1, "scale"), Tensor::scalar(0),
                  [&](float x, float scale, float) { return x >= 0 ? scale : -scale; });
}

// Version 1: the input's scale stays, and the width alone says how many bits go.
std::vector<Tensor> evaluate_trunc1(const NodeView& node) {
  if (node.input_count() != 5)
    node.refuse("inputs", fmt::format("count is {}, needed 5", node.input_count()),
                "give x, scale, zero_point, input and output bit width, or import opset 2");
  const QonnxRounding rounding = read_qonnx_rounding(node, "FLOOR");
  const int dropped = read_bits(node, 3, "in_bitwidth") - read_bits(node, 4, "out_bitwidth");
  const float unit = std::ldexp(1.0F, dropped);
  return map_with(node, read_scale_tensor(node, 1, "scale"), read_zero_point_tensor(node, 2),
                  [&](float x, float scale, float zero_point) {
                    const float code = std::nearbyint(x / scale + zero_point);
                    return (round_qonnx(code / unit, rounding) - zero_point) * scale;
                  });
}

// Version 2: the ratio of the scales says it, and the result is clamped before it is rounded.
std::vector<Tensor> evaluate_trunc2(const NodeView& node) {
  if (node.input_count() != 6)
    node.refuse("inputs", fmt::format("count is {}, needed 6", node.input_count()),
                "give x, scale, zero_point, input bit width, output scale and bit width");
  const QonnxRounding rounding = read_qonnx_rounding(node, "FLOOR");
  const QonnxRange range = q_range(read_bits(node, 5, "out_bitwidth"),
                                   node.integer("signed", 1) != 0, node.integer("narrow", 0) != 0);
  read_bits(node, 3, "in_bitwidth");
  const float out_scale = read_scale(node, 4, "out_scale");
  return map_with(node, read_scale_tensor(node, 1, "scale"), read_zero_point_tensor(node, 2),
                  [&](float x, float scale, float zero_point) {
                    const float unit = std::exp2(std::nearbyint(std::log2(out_scale / scale)));
                    const float code = std::nearbyint(x / scale + zero_point);
                    const float kept = round_qonnx(clamp_to(code / unit, range), rounding);
                    return (kept - zero_point / unit) * out_scale;
                  });
}

std::vector<Tensor> evaluate_trunc(const NodeView& node) {
  return node.graph().qonnx_opset == 1 ? evaluate_trunc1(node) : evaluate_trunc2(node);
}

}  // namespace

QonnxRounding read_qonnx_rounding(const NodeView& node, const std::string& otherwise) {
  const std::string stated = node.text("rounding_mode", otherwise);
  std::string upper = stated;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string known;
  for (const RoundingName& row : kRoundingNames) {
    if (upper == row.name) return row.rounding;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  node.refuse("rounding_mode", fmt::format("is {}, allowed {}", stated, known), "correct it");
}

float round_qonnx(float value, QonnxRounding rounding) {
  switch (rounding) {
    case QonnxRounding::kCeil:
      return std::ceil(value);
    case QonnxRounding::kFloor:
      return std::floor(value);
    case QonnxRounding::kAwayFromZero:
      return sign(value) * std::ceil(std::abs(value));
    case QonnxRounding::kTowardZero:
      return std::trunc(value);
    case QonnxRounding::kHalfAway:
      return sign(value) * std::floor(std::abs(value) + 0.5F);
    case QonnxRounding::kHalfTowardZero:
      return sign(value) * std::ceil(std::abs(value) - 0.5F);
    default:
      return std::nearbyint(value);
  }
}

QonnxQuant read_qonnx_quant(const NodeView& node) {
  QonnxQuant quant;
  quant.scale = read_scale_tensor(node, 1, "scale");
  quant.zero_point = read_zero_point_tensor(node, 2);
  quant.bits = read_bits(node, 3, "bitwidth");
  quant.is_signed = read_flag(node, "signed");
  quant.narrow = read_flag(node, "narrow");
  quant.rounding = read_qonnx_rounding(node, "ROUND");
  return quant;
}

QonnxRange q_range(int bits, bool is_signed, bool narrow) {
  const IntegerFormat format{bits, is_signed};
  if (is_signed) return {format.min() + narrow, format.max()};
  return {0, format.max() - narrow};
}

QonnxRange q_range(const QonnxQuant& quant) {
  if (quant.bipolar()) return {-1, 1};
  return q_range(quant.bits, quant.is_signed, quant.narrow);
}

int64_t quantize_code(float x, float scale, float zero_point, const QonnxQuant& quant) {
  const QonnxRange range = q_range(quant);
  const float code = real_code(x, scale, zero_point, quant, range);
  return std::isnan(code) ? range.low : static_cast<int64_t>(code);
}

// Quant, IntQuant: see QonnxQuant. BipolarQuant: +scale for x >= 0, else -scale. Trunc: drops the
// low bits of quantized values, which stay real numbers; both versions.
// Source: QONNX's operators, opsets 1 and 2.
extern const Operator kQuant, kIntQuant, kBipolarQuant, kTrunc;
const Operator kQuant{"Quant",     {"narrow", "rounding_mode", "signed"},
                      4,           4,
                      infer_shape, evaluate_quant,
                      nullptr,     nullptr,
                      kQonnxDomain};
const Operator kIntQuant{"IntQuant",  {"narrow", "rounding_mode", "signed"},
                         4,           4,
                         infer_shape, evaluate_quant,
                         nullptr,     nullptr,
                         kQonnxDomain};
const Operator kBipolarQuant{"BipolarQuant",   {},      2,       2,           infer_shape,
                             evaluate_bipolar, nullptr, nullptr, kQonnxDomain};
const Operator kTrunc{"Trunc",     {"narrow", "rounding_mode", "signed"},
                      5,           6,
                      infer_shape, evaluate_trunc,
                      nullptr,     nullptr,
                      kQonnxDomain};

}  // namespace widthwise
