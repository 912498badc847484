#include "models/quantized_product.h"

#include <cmath>

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

// The integers of a bias whose scale is ifmap * weight; nothing otherwise.
std::optional<std::string> integer_bias(const GraphEditor& editor, const std::string& value,
                                        const Dequantized& x, const Dequantized& w) {
  const auto bias = editor.dequantized(value);
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

std::optional<GraphNode> quantized_product(const GraphEditor& editor, const GraphNode& real,
                                           const std::string& scale,
                                           const std::string& zero_point) {
  if (real.inputs.size() < 2 || real.outputs.size() != 1) return std::nullopt;
  const auto x = editor.dequantized(real.inputs[0]), w = editor.dequantized(real.inputs[1]);
  if (!x || !w || !x->per_tensor() || !along_output_channels(editor, real, *w)) return std::nullopt;
  const bool gemm = real.op_type == "Gemm", conv = real.op_type == "Conv";
  if (attribute(real, "alpha", 1.0F) != 1 || attribute(real, "beta", 1.0F) != 1)
    return std::nullopt;
  std::string bias;
  if (real.inputs.size() > 2 && !real.inputs[2].empty()) {
    const auto codes = integer_bias(editor, real.inputs[2], *x, *w);
    if (!codes) return std::nullopt;
    bias = *codes;
  }
  if (x->zero_point.empty() || w->zero_point.empty()) return std::nullopt;
  const bool to_codes = !scale.empty();
  GraphNode node;
  node.attributes = real.attributes;
  node.inputs = {x->codes, x->scale, x->zero_point, w->codes, w->scale, w->zero_point};
  if (gemm) {
    node.domain = kMicrosoftDomain;
    node.op_type = "QGemm";
    node.attributes.erase("beta");
    node.inputs.push_back(bias);
    if (to_codes) node.inputs.insert(node.inputs.end(), {scale, zero_point});
    return node;
  }
  node.domain = to_codes ? kOnnxDomain : kOwnDomain;
  node.op_type = std::string(to_codes ? "QLinear" : "") + (conv ? "Conv" : "MatMul") +
                 (to_codes ? "" : "Dequantized");
  if (to_codes) node.inputs.insert(node.inputs.end(), {scale, zero_point});
  if (!bias.empty()) node.inputs.push_back(bias);
  return node;
}

}  // namespace widthwise
