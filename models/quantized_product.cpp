#include "models/quantized_product.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/operator.h"

namespace widthwise {
namespace {

template <class T>
T attribute(const GraphNode& node, const std::string& name, T otherwise) {
  const auto found = node.attributes.find(name);
  const T* value = found == node.attributes.end() ? nullptr : std::get_if<T>(&found->second);
  return value == nullptr ? otherwise : *value;
}

// Scales and zero points along the output channels: axis 0 of a Conv's weight and of a transposed
// Gemm's, the last one otherwise.
bool along_output_channels(const GraphEditor& editor, const GraphNode& real, const Dequantized& w) {
  if (w.per_tensor()) return true;
  const Tensor* codes = editor.constant(w.codes);
  if (codes == nullptr) return false;
  const auto rank = static_cast<int64_t>(codes->rank());
  const int64_t axis = w.axis < 0 ? w.axis + rank : w.axis;
  const bool first = real.op_type == "Conv" || attribute<int64_t>(real, "transB", 0) != 0;
  return axis >= 0 && axis < rank && axis == (first ? 0 : rank - 1) &&
         codes->shape()[static_cast<size_t>(axis)] == w.scale_tensor->elements();
}

// The integers of a bias whose scale is ifmap * weight, or of a real one; nothing otherwise.
std::optional<std::string> integer_bias(GraphEditor& editor, const GraphNode& real,
                                        const Dequantized& x, const Dequantized& w,
                                        bool round_real) {
  const std::string& value = real.inputs[2];
  const auto bias = editor.dequantized(value);
  if (!bias && round_real) {
    const Tensor* weight = editor.constant(w.codes);
    if (weight == nullptr) return std::nullopt;
    auto codes = rounded_bias(editor, value, x, w, output_channels(real, *weight));
    if (!codes) return std::nullopt;
    return editor.add_constant(value + "_codes", std::move(*codes));
  }
  const Tensor* codes = bias ? editor.constant(bias->codes) : nullptr;
  if (codes == nullptr || codes->type() != ElementType::kInt32) return std::nullopt;
  const Tensor* zero_point = bias->zero_point_tensor;
  for (int64_t i = 0; zero_point != nullptr && i < zero_point->elements(); ++i) {
    if (zero_point->integer(i) != 0) return std::nullopt;
  }
  constexpr double kTolerance = 1e-5;  // the file computes the product in float32
  const Tensor &own = *bias->scale_tensor, &weight = *w.scale_tensor;
  const bool fits = own.elements() == weight.elements() || own.elements() == 1 || w.per_tensor();
  if (!fits || own.elements() == 0 || weight.elements() == 0) return std::nullopt;
  for (int64_t c = 0; c < std::max(own.elements(), weight.elements()); ++c) {
    const double wanted = x.scale_tensor->real(0) * weight.real(weight.elements() == 1 ? 0 : c);
    const double found = own.real(own.elements() == 1 ? 0 : c);
    if (!(std::abs(found - wanted) <= kTolerance * std::abs(wanted))) return std::nullopt;
  }
  return bias->codes;
}

}  // namespace

int64_t output_channels(const GraphNode& node, const Tensor& weight) {
  if (weight.rank() == 0) return 0;
  if (node.op_type == "ConvTranspose" && weight.rank() > 1)
    return weight.shape()[1] *
           std::clamp<int64_t>(attribute<int64_t>(node, "group", 1), 0, 1 << 20);
  const bool first = node.op_type == "Conv" || attribute<int64_t>(node, "transB", 0) != 0;
  return first ? weight.shape().front() : weight.shape().back();
}

std::optional<Tensor> rounded_bias(const GraphEditor& editor, const std::string& value,
                                   const Dequantized& x, const Dequantized& w, int64_t channels) {
  const Tensor* bias = editor.constant(value);
  if (bias == nullptr || bias->type() != ElementType::kFloat || bias->rank() != 1 || channels < 1 ||
      (bias->elements() != channels && bias->elements() != 1) || !x.per_tensor())
    return std::nullopt;
  const auto reals = bias->values<float>(), scales = w.scale_tensor->values<float>();
  if (scales.size() != 1 && std::ssize(scales) != channels) return std::nullopt;
  const float ifmap_scale = x.scale_tensor->values<float>()[0];
  std::vector<int32_t> codes;
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const float scale = ifmap_scale * scales[scales.size() == 1 ? 0 : c];
    const float code = std::nearbyint(reals[reals.size() == 1 ? 0 : c] / scale);
    constexpr float kEnd = 2147483648.0F;
    codes.push_back(code >= -kEnd && code < kEnd ? static_cast<int32_t>(code)
                                                 : std::numeric_limits<int32_t>::min());
  }
  return Tensor(ElementType::kInt32, {channels}, codes);
}

std::optional<Dequantized> quantized_weight(GraphEditor& editor, const std::string& value) {
  const Tensor* weight = editor.constant(value);
  if (weight == nullptr || weight->type() != ElementType::kFloat || weight->elements() == 0)
    return std::nullopt;
  const auto reals = weight->values<float>();
  const auto [low, high] = std::minmax_element(reals.begin(), reals.end());
  constexpr float kLeast = 1e-30F, kMost = 1e30F;  // ranges whose scale is an ordinary number
  if (!(*high - *low > kLeast) || !(*low > -kMost) || !(*high < kMost)) return std::nullopt;
  GraphNode quantize;
  quantize.op_type = "DynamicQuantizeLinear";
  quantize.inputs = {value};
  quantize.outputs = {"codes", "scale", "zero_point"};
  auto parts = evaluate_node(NodeView(editor.graph(), quantize, {weight}));
  Dequantized d{.codes = editor.add_constant(value + "_codes", std::move(parts.at(0))),
                .scale = editor.add_constant(value + "_scale", std::move(parts.at(1))),
                .zero_point = editor.add_constant(value + "_zero_point", std::move(parts.at(2)))};
  d.scale_tensor = editor.constant(d.scale);
  d.zero_point_tensor = editor.constant(d.zero_point);
  return d;
}

std::optional<GraphNode> quantized_product(GraphEditor& editor, const GraphNode& real,
                                           const ProductOutput& output) {
  if (real.inputs.size() < 2 || real.outputs.size() != 1) return std::nullopt;
  const auto x = editor.dequantized(real.inputs[0]);
  if (!x || !x->per_tensor() || x->zero_point.empty()) return std::nullopt;
  if (attribute(real, "alpha", 1.0F) != 1 || attribute(real, "beta", 1.0F) != 1)
    return std::nullopt;
  const bool to_codes = !output.scale.empty();
  auto w = editor.dequantized(real.inputs[1]);
  if (!w && output.quantize_weights) w = quantized_weight(editor, real.inputs[1]);
  if (!w || w->zero_point.empty() || !along_output_channels(editor, real, *w)) return std::nullopt;
  const bool gemm = real.op_type == "Gemm", conv = real.op_type == "Conv";
  std::string bias;
  if (real.inputs.size() > 2 && !real.inputs[2].empty()) {
    const auto codes = integer_bias(editor, real, *x, *w, output.round_bias);
    if (!codes) return std::nullopt;
    bias = *codes;
  }
  GraphNode node;
  node.attributes = real.attributes;
  node.inputs = {x->codes, x->scale, x->zero_point, w->codes, w->scale, w->zero_point};
  if (gemm) {
    node.domain = kMicrosoftDomain;
    node.op_type = "QGemm";
    node.attributes.erase("beta");
    node.inputs.push_back(bias);
    if (to_codes) node.inputs.insert(node.inputs.end(), {output.scale, output.zero_point});
    return node;
  }
  node.domain = to_codes ? kOnnxDomain : kOwnDomain;
  node.op_type = std::string(to_codes ? "QLinear" : "") + (conv ? "Conv" : "MatMul") +
                 (to_codes ? "" : "Dequantized");
  if (to_codes) node.inputs.insert(node.inputs.end(), {output.scale, output.zero_point});
  if (!bias.empty()) node.inputs.push_back(bias);
  return node;
}

}  // namespace widthwise
