#pragma once
#include <optional>
#include <vector>

#include "core/workload.h"
#include "models/graph.h"

namespace widthwise {

// Depthwise 1x1 matmul over an activation [1, C, ...]: one weight per channel.
inline MatmulWorkload per_channel_workload(const Shape& ifmap) {
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

// One value per channel of `activation` [1, C, ...] if the constant broadcasts to it that way
// (every axis but the channel's has extent 1); nothing otherwise.
inline std::optional<std::vector<float>> per_channel_values(const Tensor& constant,
                                                            const Shape& activation) {
  const size_t rank = activation.size(), own = constant.rank();
  if (constant.type() != ElementType::kFloat || own > rank || rank < 2) return std::nullopt;
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

}  // namespace widthwise
