#include "models/quantized_product.h"

#include <algorithm>
#include <cmath>

#include "models/operator.h"

namespace widthwise {
namespace {

// Of the weight: output channels.
size_t output_axis(const GraphNode& real, size_t rank) {
  if (real.op_type == "Conv") return 0;
  if (real.op_type == "ConvTranspose") return 1;
  return attribute_of<int64_t>(real, "transB", 0) != 0 ? 0 : rank - 1;
}

// Whether scales and zero points are along the output channels, or one for all.
bool along_output_channels(const GraphEditor& editor, const GraphNode& real, const Dequantized& w) {
  if (w.per_tensor()) return true;
  const Tensor* codes = editor.constant(w.codes);
  if (codes == nullptr || codes->rank() < 2) return false;
  const auto rank = static_cast<int64_t>(codes->rank());
  const int64_t axis = w.axis < 0 ? w.axis + rank : w.axis;
  const size_t wanted = output_axis(real, codes->rank());
  return axis == static_cast<int64_t>(wanted) &&
         codes->shape()[wanted] == w.scale_tensor->elements();
}

// int32, the bias, is no operand.
bool is_operand(const Dequantized& d) {
  return d.zero_point_tensor != nullptr && integer_format(d.zero_point_tensor->type())->bits <= 16;
}

// The integers of a bias whose scale is ifmap * weight, or of a real one; nothing otherwise.
std::optional<std::string> integer_bias(GraphEditor& editor, const GraphNode& real,
                                        const Dequantized& x, const Dequantized& w,
                                        bool round_real) {
  const std::string& value = real.inputs[2];
  const auto bias = editor.dequantized(value);
  if (!bias && round_real) {
    auto codes = rounded_bias(editor, real, x, w);
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

std::optional<Tensor> rounded_bias(const GraphEditor& editor, const GraphNode& real,
                                   const Dequantized& x, const Dequantized& w) {
  const Tensor *bias = editor.constant(real.inputs.at(2)), *weight = editor.constant(w.codes);
  if (bias == nullptr || bias->type() != ElementType::kFloat || bias->rank() != 1 ||
      weight == nullptr || weight->rank() < 2 || !x.per_tensor() ||
      !along_output_channels(editor, real, w))
    return std::nullopt;
  int64_t channels = weight->shape()[output_axis(real, weight->rank())];
  if (real.op_type == "ConvTranspose")
    channels *= std::clamp<int64_t>(attribute_of<int64_t>(real, "group", 1), 0, 1 << 20);
  const auto reals = bias->values<float>(), scales = w.scale_tensor->values<float>();
  if (channels < 1 || (std::ssize(reals) != channels && reals.size() != 1) ||
      (std::ssize(scales) != channels && scales.size() != 1))
    return std::nullopt;
  const float ifmap_scale = x.scale_tensor->values<float>()[0];
  std::vector<int32_t> codes;
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const float scale = ifmap_scale * scales[scales.size() == 1 ? 0 : c];
    const float code = std::nearbyint(reals[reals.size() == 1 ? 0 : c] / scale);
    constexpr float kEnd = 2147483648.0F;
    if (!(code >= -kEnd && code < kEnd)) return std::nullopt;
    codes.push_back(static_cast<int32_t>(code));
  }
  return Tensor(ElementType::kInt32, {channels}, codes);
}

std::optional<Dequantized> quantized_weight(GraphEditor& editor, const std::string& value) {
  const Tensor* weight = editor.constant(value);
  if (weight == nullptr || weight->type() != ElementType::kFloat || weight->elements() == 0)
    return std::nullopt;
  const auto reals = weight->values<float>();
  const auto [least, greatest] = std::minmax_element(reals.begin(), reals.end());
  const float range = std::max(*greatest, 0.0F) - std::min(*least, 0.0F);
  if (range != 0 && !std::isnormal(range / 255)) return std::nullopt;  // no scale
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
  if (!x || !x->per_tensor() || !is_operand(*x)) return std::nullopt;
  if (attribute_of(real, "alpha", 1.0F) != 1 || attribute_of(real, "beta", 1.0F) != 1)
    return std::nullopt;
  const bool to_codes = !output.scale.empty();
  auto w = editor.dequantized(real.inputs[1]);
  if (!w && output.quantize_weights) w = quantized_weight(editor, real.inputs[1]);
  if (!w || !is_operand(*w) || !along_output_channels(editor, real, *w)) return std::nullopt;
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
