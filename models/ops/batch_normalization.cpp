#include "models/ops/batch_normalization.h"

#include <fmt/format.h>

#include <cmath>

#include "models/lowering.h"
#include "models/operator.h"
#include "models/ops/per_channel.h"

namespace widthwise {

ChannelAffine read_batch_normalization(const NodeView& node, int64_t channels) {
  constexpr const char* kInputs[] = {"", "scale", "B", "mean", "var"};
  const GraphTensor* tensors[5] = {};
  for (size_t i = 1; i < 5; ++i) {
    tensors[i] = &node.float_constant(i, kInputs[i]);
    if (tensors[i]->shape != Shape{channels}) {
      node.refuse(
          kInputs[i],
          fmt::format("has the shape {}, needed [{}]", shape_text(tensors[i]->shape), channels),
          "export the network again");
    }
  }
  node.require("training_mode", 0, "export the network in evaluation mode (model.eval())");
  node.require("spatial", 1, "use one mean and variance per channel");
  ChannelAffine affine;
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const double variance = static_cast<double>(tensors[4]->floats[c]) +
                            static_cast<double>(node.real("epsilon", 1e-5f));
    if (!(variance > 0)) {
      node.refuse("var",
                  fmt::format("plus epsilon is {} in channel {}, must be positive", variance, c),
                  "check the training");
    }
    const double scale = static_cast<double>(tensors[1]->floats[c]) / std::sqrt(variance);
    affine.scale.push_back(scale);
    affine.offset.push_back(static_cast<double>(tensors[2]->floats[c]) -
                            static_cast<double>(tensors[3]->floats[c]) * scale);
  }
  return affine;
}

namespace {

ChannelAffine checked(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "X");
  if (ifmap.size() < 2) node.refuse("X", "has no channel axis", "export the network again");
  return read_batch_normalization(node, ifmap[1]);
}

std::vector<Shape> infer_shape(const NodeView& node) {
  checked(node);
  return {node.shape(0)};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const ChannelAffine affine = checked(node);
  FloatLayer layer;
  layer.workload = per_channel_workload(node.shape(0));
  layer.weights.assign(affine.scale.begin(), affine.scale.end());
  layer.bias.assign(affine.offset.begin(), affine.offset.end());
  builder.add(node, std::move(layer));
}

std::vector<Values> reference(const NodeView& node, const std::vector<Values>& inputs) {
  const auto channels = static_cast<size_t>(node.shape(0)[1]);
  const size_t pixels = inputs[0].size() / channels;
  const double epsilon = static_cast<double>(node.real("epsilon", 1e-5f));
  Values ofmap;
  for (size_t i = 0; i < inputs[0].size(); ++i) {
    const size_t c = i / pixels;
    ofmap.push_back((inputs[0][i] - inputs[3][c]) / std::sqrt(inputs[4][c] + epsilon) *
                        inputs[1][c] +
                    inputs[2][c]);
  }
  return {ofmap};
}

}  // namespace

// BatchNormalization, inference: ofmap = (X - mean) / sqrt(var + epsilon) * scale + B per channel.
// fold() moves it into the layer before it; one that is left becomes a depthwise 1x1 matmul.
// Source: ONNX operator, opsets 7, 9, 14, 15.
extern const Operator kBatchNormalization;
const Operator kBatchNormalization{"BatchNormalization",
                                   {"epsilon", "momentum", "spatial", "training_mode"},
                                   5,
                                   5,
                                   infer_shape,
                                   lower,
                                   reference};

}  // namespace widthwise
