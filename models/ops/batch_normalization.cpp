#include "models/ops/batch_normalization.h"

#include <fmt/format.h>

#include <cmath>

#include "models/evaluation.h"
#include "models/lowering.h"
#include "models/operator.h"
#include "models/ops/per_channel.h"

namespace widthwise {

ChannelAffine read_batch_normalization(const NodeView& node, int64_t channels) {
  constexpr const char* kInputs[] = {"", "scale", "B", "mean", "var"};
  const Tensor* tensors[5] = {};
  for (size_t i = 1; i < 5; ++i) {
    tensors[i] = &node.float_constant(i, kInputs[i]);
    if (tensors[i]->shape() != Shape{channels}) {
      node.refuse(
          kInputs[i],
          fmt::format("has the shape {}, needed [{}]", shape_text(tensors[i]->shape()), channels),
          "export the network again");
    }
  }
  node.require("training_mode", 0, "export the network in evaluation mode (model.eval())");
  node.require("spatial", 1, "use one mean and variance per channel");
  ChannelAffine affine;
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const double variance = static_cast<double>(tensors[4]->values<float>()[c]) +
                            static_cast<double>(node.real("epsilon", 1e-5f));
    if (!(variance > 0)) {
      node.refuse("var",
                  fmt::format("plus epsilon is {} in channel {}, must be positive", variance, c),
                  "check the training");
    }
    const double scale = static_cast<double>(tensors[1]->values<float>()[c]) / std::sqrt(variance);
    affine.scale.push_back(scale);
    affine.offset.push_back(static_cast<double>(tensors[2]->values<float>()[c]) -
                            static_cast<double>(tensors[3]->values<float>()[c]) * scale);
  }
  return affine;
}

namespace {

ChannelAffine checked(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "X");
  if (ifmap.size() < 2) node.refuse("X", "has no channel axis", "export the network again");
  return read_batch_normalization(node, ifmap[1]);
}

bool training(const NodeView& node) { return node.integer("training_mode", 0) != 0; }

std::vector<Shape> infer_shape(const NodeView& node) {
  if (node.one_image()) {
    checked(node);
    return {node.shape(0)};
  }
  const Shape& x = node.shape(0);
  if (x.empty()) node.refuse("X", "has no axes", "export the network again");
  const Shape channels = {x.size() > 1 ? x[1] : 1};
  for (size_t i = 1; i < 5; ++i) {
    if (node.shape(i) != channels)
      node.refuse(fmt::format("input {}", i),
                  fmt::format("has the shape {}, needed {}", shape_text(node.shape(i)),
                              shape_text(channels)),
                  "export the network again");
  }
  if (training(node)) return {x, channels, channels};
  return {x};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const ChannelAffine affine = checked(node);
  FloatLayer layer;
  layer.workload = per_channel_workload(node.shape(0));
  layer.weights.assign(affine.scale.begin(), affine.scale.end());
  layer.bias.assign(affine.offset.begin(), affine.offset.end());
  builder.add(node, std::move(layer));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const std::vector<Shape> shapes = infer_shape(node);
  Tensor y = node.tensor(0, "X");
  const auto channels = static_cast<size_t>(node.tensor(1, "scale").elements());
  size_t pixels = 1;
  for (size_t i = 2; i < y.rank(); ++i) pixels *= static_cast<size_t>(y.shape()[i]);
  const auto scale = node.tensor(1, "scale").reals(), bias = node.tensor(2, "B").reals();
  std::vector<double> mean = node.tensor(3, "mean").reals(), var = node.tensor(4, "var").reals();
  const double epsilon = static_cast<double>(node.real("epsilon", 1e-5f));
  std::vector<Tensor> outputs;
  visit_real(node, y, [&](auto stored) {
    using T = decltype(stored);
    const auto values = y.write<T>();
    const auto channel = [&](size_t i) { return i / pixels % channels; };
    if (training(node)) {  // statistics of this batch; the running ones are outputs
      const auto momentum = static_cast<double>(node.real("momentum", 0.9f));
      const auto count = static_cast<double>(values.size() / channels);
      std::vector<double> sum(channels, 0), squares(channels, 0);
      for (size_t i = 0; i < values.size(); ++i) sum[channel(i)] += static_cast<double>(values[i]);
      for (size_t i = 0; i < values.size(); ++i) {
        const double d = static_cast<double>(values[i]) - sum[channel(i)] / count;
        squares[channel(i)] += d * d;
      }
      std::vector<T> running_mean, running_var;
      for (size_t c = 0; c < channels; ++c) {
        const double m = sum[c] / count, v = squares[c] / count;
        running_mean.push_back(static_cast<T>(mean[c] * momentum + m * (1 - momentum)));
        running_var.push_back(static_cast<T>(var[c] * momentum + v * (1 - momentum)));
        mean[c] = m;
        var[c] = v;
      }
      outputs = {Tensor(y.type(), shapes[1], running_mean),
                 Tensor(y.type(), shapes[1], running_var)};
    }
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t c = channel(i);
      values[i] = static_cast<T>((static_cast<double>(values[i]) - mean[c]) /
                                     std::sqrt(var[c] + epsilon) * scale[c] +
                                 bias[c]);
    }
  });
  outputs.insert(outputs.begin(), y);
  return outputs;
}

}  // namespace

// BatchNormalization: ofmap = (X - mean) / sqrt(var + epsilon) * scale + B per channel;
// training_mode 1 only where the network is run. fold() moves it into the layer before it; one that
// is left becomes a depthwise 1x1 matmul. Source: ONNX operator, opsets 7, 9, 14, 15.
extern const Operator kBatchNormalization;
const Operator kBatchNormalization{"BatchNormalization",
                                   {"epsilon", "momentum", "spatial", "training_mode"},
                                   5,
                                   5,
                                   infer_shape,
                                   evaluate,
                                   lower};

}  // namespace widthwise
