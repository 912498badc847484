#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "quant/quantize.h"

namespace widthwise::testing_support {

// Float networks by hand: one method per layer, which returns its output tensor.
class FloatBuilder {
 public:
  explicit FloatBuilder(std::vector<int64_t> input_shape) {
    network.name = "made";
    network.input = tensor("x", std::move(input_shape));
  }
  FloatNetwork network;

  // 1x1 convolution of [C, H, W]; weights [oc, C].
  int conv(const std::string& name, int input, std::vector<float> weights, std::vector<float> bias,
           float low = -kInf, float high = kInf) {
    const std::vector<int64_t> in = network.tensor(input).shape;
    MatmulWorkload m;
    m.window.ifmap_channels = in[0];
    m.window.ifmap_rows = m.window.ofmap_rows = in[1];
    m.window.ifmap_cols = m.window.ofmap_cols = in[2];
    m.window.ofmap_channels = std::ssize(weights) / in[0];
    FloatLayer layer;
    layer.workload = m;
    layer.weights = std::move(weights);
    layer.bias = std::move(bias);
    layer.low = low;
    layer.high = high;
    return add(name, layer, {input}, {m.window.ofmap_channels, in[1], in[2]});
  }
  int average(const std::string& name, int input) {  // over all rows and columns
    const std::vector<int64_t> in = network.tensor(input).shape;
    MatmulWorkload m;
    m.window.ifmap_channels = m.window.ofmap_channels = m.groups = in[0];
    m.window.ifmap_rows = m.window.kernel_rows = in[1];
    m.window.ifmap_cols = m.window.kernel_cols = in[2];
    m.unit_weights = true;
    FloatLayer layer;
    layer.workload = m;
    const auto taps = static_cast<float>(in[1] * in[2]);
    layer.weights.assign(static_cast<size_t>(m.weight_elements()), 1 / taps);
    return add(name, layer, {input}, {in[0], 1, 1});
  }
  int sum(const std::string& name, int a, int b) {
    FloatLayer layer;
    layer.workload =
        ElementwiseWorkload{ElementwiseWorkload::Kind::kAdd, network.tensor(a).elements()};
    return add(name, layer, {a, b}, network.tensor(a).shape);
  }
  int max_pool(const std::string& name, int input) {  // 1x1: only its quantization matters here
    const std::vector<int64_t> in = network.tensor(input).shape;
    MaxPoolWorkload pool;
    pool.window.ifmap_channels = pool.window.ofmap_channels = in[0];
    pool.window.ifmap_rows = pool.window.ofmap_rows = in[1];
    pool.window.ifmap_cols = pool.window.ofmap_cols = in[2];
    FloatLayer layer;
    layer.workload = pool;
    return add(name, layer, {input}, in);
  }
  int move(const std::string& name, const std::vector<int>& inputs) {
    MoveWorkload workload;
    std::vector<int64_t> shape = network.tensor(inputs[0]).shape;
    shape[0] = 0;
    for (const int input : inputs) {
      workload.input_elements.push_back(network.tensor(input).elements());
      shape[0] += network.tensor(input).shape[0];
      for (int64_t i = 0; i < workload.input_elements.back(); ++i) {
        workload.source.push_back(std::ssize(workload.source));
      }
    }
    FloatLayer layer;
    layer.workload = workload;
    return add(name, layer, inputs, shape);
  }

  static constexpr float kInf = std::numeric_limits<float>::infinity();

 private:
  int tensor(const std::string& name, std::vector<int64_t> shape) {
    network.tensors.push_back({name, std::move(shape)});
    return static_cast<int>(network.tensors.size()) - 1;
  }
  int add(const std::string& name, FloatLayer layer, std::vector<int> inputs,
          std::vector<int64_t> shape) {
    layer.name = name;
    layer.operator_type = "Made";
    layer.inputs = std::move(inputs);
    layer.output = network.output = tensor(name + "_out", std::move(shape));
    network.layers.push_back(std::move(layer));
    return network.output;
  }
};

// [-1, 2] for every tensor.
inline Statistics some_statistics(const FloatNetwork& network) {
  Statistics statistics;
  for (const FloatTensor& t : network.tensors) statistics[t.name] = {-1, 2, 1};
  return statistics;
}

// The message of the InputError that `action` throws, which must have a fix.
template <class Action>
std::string input_error(const Action& action) {
  try {
    action();
  } catch (const InputError& error) {
    EXPECT_FALSE(error.problem().fix.empty()) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no InputError";
  return "";
}

}  // namespace widthwise::testing_support
