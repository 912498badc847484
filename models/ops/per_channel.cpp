#include "models/ops/per_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace widthwise {

MatmulWorkload per_channel_workload(const Shape& ifmap) {
  MatmulWorkload matmul;
  matmul.groups = ifmap[1];
  matmul.window.ifmap_channels = matmul.window.ofmap_channels = ifmap[1];
  int64_t pixels = 1;
  for (size_t i = 2; i < ifmap.size(); ++i) pixels *= ifmap[i];
  const int64_t cols = ifmap.size() > 2 ? ifmap.back() : 1;
  matmul.window.ifmap_cols = matmul.window.ofmap_cols = cols;
  matmul.window.ifmap_rows = matmul.window.ofmap_rows = pixels / cols;
  return matmul;
}

std::optional<std::vector<float>> per_channel_values(const Tensor& constant,
                                                     const Shape& activation) {
  const size_t rank = activation.size(), own = constant.rank();
  constexpr int64_t kMostChannels = 1 << 22;
  if (constant.type() != ElementType::kFloat || own > rank || rank < 2 ||
      activation[1] > kMostChannels)
    return std::nullopt;
  for (size_t i = 0; i < own; ++i) {
    const size_t axis = rank - own + i;  // aligned at the last axis
    const bool channel = axis == 1 && constant.shape()[i] == activation[1];
    if (constant.shape()[i] != 1 && !channel) return std::nullopt;
  }
  const auto channels = static_cast<size_t>(activation[1]);
  const auto values = constant.values<float>();
  if (values.empty()) return std::nullopt;
  if (values.size() == channels) return std::vector<float>(values.begin(), values.end());
  return std::vector<float>(channels, values[0]);
}

std::optional<ConstantOperand> constant_operand(const NodeView& node) {
  const std::string& type = node.node().op_type;
  const bool product = type == "Mul" || type == "Div";
  if ((!product && type != "Add" && type != "Sub") || node.node().domain != kOnnxDomain)
    return std::nullopt;
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const Tensor* constant = node.constant(i);
    if (constant == nullptr || node.constant(1 - i) != nullptr) continue;
    const auto values = per_channel_values(*constant, node.shape(1 - i));
    if (!values || (type == "Div" && i == 0)) return std::nullopt;
    node.float_constant(i, "operand");  // finite
    ConstantOperand operand{1 - i, {}};
    for (const float value : *values) {
      double factor = 1, offset = 0;
      if (type == "Mul") factor = static_cast<double>(value);
      if (type == "Div") factor = 1 / static_cast<double>(value);
      if (type == "Add") offset = static_cast<double>(value);
      if (type == "Sub") {
        factor = i == 0 ? -1 : 1;
        offset = i == 0 ? static_cast<double>(value) : -static_cast<double>(value);
      }
      if (!std::isfinite(static_cast<float>(factor)))
        node.refuse("divisor", fmt::format("holds {}, which has no inverse in float", value),
                    "replace the value");
      operand.affine.scale.push_back(factor);
      operand.affine.offset.push_back(offset);
    }
    return operand;
  }
  return std::nullopt;
}

void lower_affine(const NodeView& node, LayerBuilder& builder, size_t activation,
                  const ChannelAffine& affine) {
  const auto is = [](const std::vector<double>& values, double wanted) {
    return std::all_of(values.begin(), values.end(), [&](double v) { return v == wanted; });
  };
  MatmulWorkload matmul = per_channel_workload(node.shape(activation));
  matmul.unit_weights = is(affine.scale, 1);
  FloatLayer layer;
  layer.workload = matmul;
  layer.weights.assign(affine.scale.begin(), affine.scale.end());
  if (!is(affine.offset, 0)) layer.bias.assign(affine.offset.begin(), affine.offset.end());
  builder.add(node, std::move(layer), {node.node().inputs[activation]});
}

}  // namespace widthwise
