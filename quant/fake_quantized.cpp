#include "quant/fake_quantized.h"

namespace widthwise {

std::vector<float> real_weights(const QuantizedLayer& layer) {
  const int64_t channels = std::get<MatmulWorkload>(layer.workload).window.ofmap_channels,
                length = std::ssize(layer.weights) / channels;
  std::vector<float> weights;
  weights.reserve(layer.weights.size());
  for (int64_t oc = 0; oc < channels; ++oc) {
    for (int64_t i = 0; i < length; ++i) {
      const int32_t code = layer.weights[static_cast<size_t>(oc * length + i)];
      weights.push_back(static_cast<float>(code - layer.weight_zero_point(oc)) *
                        layer.weight_scale(oc));
    }
  }
  return weights;
}

std::vector<float> real_bias(const QuantizedLayer& layer, const TensorQuantization& ifmap) {
  std::vector<float> bias;
  for (size_t oc = 0; oc < layer.bias.size(); ++oc) {
    const double step = double{ifmap.scale} * layer.weight_scale(static_cast<int64_t>(oc));
    bias.push_back(static_cast<float>(layer.bias[oc] * step));
  }
  return bias;
}

FakeQuantizedNetwork fake_quantized(const QuantizedNetwork& network) {
  FakeQuantizedNetwork fake;
  fake.network.name = network.name;
  fake.network.input = network.input;
  fake.network.output = network.output;
  for (const QuantizedTensor& tensor : network.tensors)
    fake.network.tensors.push_back({tensor.name, tensor.shape});
  fake.tensors.resize(network.tensors.size());
  const auto round = [&](int index, int64_t q_min, int64_t q_max) {
    if (network.tensor(index).is_real) return;
    const TensorQuantization& q = network.tensor(index).quantization;
    fake.tensors[static_cast<size_t>(index)] = {q.scale, static_cast<float>(q_min - q.zero_point),
                                                static_cast<float>(q_max - q.zero_point)};
  };
  const IntegerFormat input = network.tensor(network.input).quantization.format;
  round(network.input, input.min(), input.max());
  for (const QuantizedLayer& layer : network.layers) {
    FloatLayer real;
    real.name = layer.name;
    real.operator_type = layer.operator_type;
    real.workload = layer.workload;
    real.inputs = layer.ifmaps;
    real.output = layer.ofmap;
    if (layer.in_float) {
      real.weights = layer.in_float->weights;
      real.bias = layer.in_float->bias;
      real.low = layer.in_float->low;
      real.high = layer.in_float->high;
    } else if (std::holds_alternative<MatmulWorkload>(layer.workload)) {
      real.weights = real_weights(layer);
      real.bias = real_bias(layer, network.tensor(layer.ifmaps[0]).quantization);
    }
    round(layer.ofmap, layer.q_min, layer.q_max);
    fake.network.layers.push_back(std::move(real));
  }
  return fake;
}

}  // namespace widthwise
