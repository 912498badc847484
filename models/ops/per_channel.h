#pragma once
#include <optional>
#include <vector>

#include "core/workload.h"
#include "models/lowering.h"

namespace widthwise {

// y = scale[c] * x + offset[c] for every channel c.
struct ChannelAffine {
  std::vector<double> scale, offset;
};

// Depthwise 1x1 matmul over an activation [1, C, ...]: one weight per channel.
MatmulWorkload per_channel_workload(const Shape& ifmap);

// One value per channel of `activation` [1, C, ...] if the constant broadcasts to it that way
// (every axis but the channel's has extent 1); nothing otherwise.
std::optional<std::vector<float>> per_channel_values(const Tensor& constant,
                                                     const Shape& activation);

// Add, Sub, Mul or Div of an activation and a constant per channel, as what it does to the
// activation; nothing for other nodes and operands. Refuses a divisor that has no inverse.
struct ConstantOperand {
  size_t activation;  // the input
  ChannelAffine affine;
};
std::optional<ConstantOperand> constant_operand(const NodeView& node);

// The affine map of input `activation` as a depthwise 1x1 matmul.
void lower_affine(const NodeView& node, LayerBuilder& builder, size_t activation,
                  const ChannelAffine& affine);

}  // namespace widthwise
