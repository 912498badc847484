#pragma once
// Small quantized networks by hand: random integers, scales that spread the codes over their range.
#include <cmath>
#include <random>

#include "hwmodel/accelerator.h"
#include "quant/quantized_network.h"
#include "tests/sim/random_layer.h"

namespace widthwise::testing_support {

class NetworkBuilder {
 public:
  // power_of_two: every scale is one, so that every requantizer takes the network.
  NetworkBuilder(uint32_t seed, bool power_of_two) : random_(seed), power_of_two_(power_of_two) {}

  QuantizedNetwork network;
  int64_t bias_magnitude = 500;

  int input(std::vector<int64_t> shape, IntegerFormat format, int32_t zero_point) {
    network.input = tensor(std::move(shape), format, scale(0.02), zero_point);
    return network.input;
  }

  struct Weights {
    IntegerFormat format{8, true};
    bool per_channel = true, asymmetric = false, unit = false;
  };
  // Convolution of tensor [C, H, W]; extents of ifmap and ofmap are taken from the tensor.
  int matmul(int ifmap, LayerShape shape, Weights w, IntegerFormat out, bool relu = false) {
    const std::vector<int64_t> in = network.tensor(ifmap).shape;
    const TensorQuantization q = network.tensor(ifmap).quantization;
    shape.group_ifmaps = in[0] / shape.groups;
    shape.rows = in.size() > 1 ? in[1] : 1;
    shape.cols = in.size() > 2 ? in[2] : 1;
    RandomLayer made = random_layer(shape, q.format, q.zero_point, w.format, 0, Data::kUniform,
                                    bias_magnitude, static_cast<uint32_t>(random_()));
    QuantizedLayer layer = std::move(made.layer);
    auto& workload = std::get<MatmulWorkload>(layer.workload);
    const Window& window = workload.window;
    workload.unit_weights = w.unit;
    if (w.unit) layer.weights.assign(layer.weights.size(), 1);
    if (w.unit) layer.bias.assign(layer.bias.size(), 0);
    layer.weight_scales.clear();
    const auto scales = static_cast<size_t>(w.per_channel ? window.ofmap_channels : 1);
    const auto taps = static_cast<float>(workload.reduction_length());
    for (size_t i = 0; i < scales; ++i) {
      layer.weight_scales.push_back(w.unit && !power_of_two_ ? 1 / taps : scale(0.01));
      if (w.asymmetric) {
        layer.weight_zero_points.push_back(
            draw(random_, w.format.min(), w.format.max(), Data::kUniform, 0));
      }
    }
    // A random walk over K products of half the range reaches about a quarter of the codes.
    const double step = std::ldexp(1.0, q.format.bits + w.format.bits - 2) / 3 *
                        std::sqrt(static_cast<double>(workload.reduction_length()));
    const double ofmap_scale = q.scale * 0.01 * step / std::ldexp(1.0, out.bits - 2);
    const std::vector<int64_t> ofmap_shape =
        in.size() == 1
            ? std::vector<int64_t>{window.ofmap_channels}
            : std::vector<int64_t>{window.ofmap_channels, window.ofmap_rows, window.ofmap_cols};
    return add(std::move(layer), {ifmap},
               tensor(ofmap_shape, out, scale(ofmap_scale), zero_point(out)), relu);
  }

  int sum(int first, int second, IntegerFormat out, bool relu = false) {
    QuantizedLayer layer;
    const QuantizedTensor& t = network.tensor(first);
    layer.workload = ElementwiseWorkload{ElementwiseWorkload::Kind::kAdd, t.elements()};
    const double s = t.quantization.scale + network.tensor(second).quantization.scale;
    return add(layer, {first, second}, tensor(t.shape, out, scale(s), zero_point(out)), relu);
  }

  // The last layer writes codes in the middle half of its format's range only.
  void narrow() {
    QuantizedLayer& layer = network.layers.back();
    const IntegerFormat format = network.tensor(layer.ofmap).quantization.format;
    const auto quarter = static_cast<int32_t>((format.max() - format.min()) / 4);
    layer.q_min = static_cast<int32_t>(format.min()) + quarter;
    layer.q_max = static_cast<int32_t>(format.max()) - quarter;
  }

  int clamp(int ifmap, IntegerFormat out) {
    QuantizedLayer layer;
    const QuantizedTensor& t = network.tensor(ifmap);
    layer.workload = ElementwiseWorkload{ElementwiseWorkload::Kind::kClamp, t.elements()};
    const int made =
        add(layer, {ifmap}, tensor(t.shape, out, scale(t.quantization.scale), zero_point(out)));
    narrow();
    return made;
  }

  // keep: the ifmap's quantization, as quantize() gives it; else another one.
  int max_pool(int ifmap, LayerShape s, bool keep, IntegerFormat out) {
    const QuantizedTensor t = network.tensor(ifmap);
    s.groups = t.shape[0];
    s.group_ifmaps = s.group_ofmaps = 1;
    s.rows = t.shape[1];
    s.cols = t.shape[2];
    const RandomLayer made =
        random_layer(s, t.quantization.format, 0, {2, true}, 0, Data::kUniform, 0, 1);
    QuantizedLayer layer;
    layer.workload = MaxPoolWorkload{made.workload().window};
    const Window& w = made.workload().window;
    const std::vector<int64_t> shape = {w.ofmap_channels, w.ofmap_rows, w.ofmap_cols};
    return add(layer, {ifmap}, like(t.quantization, shape, keep, out));
  }

  // Concatenation along the channels, then `stride` apart: 1 keeps the order.
  int move(const std::vector<int>& ifmaps, int64_t stride, bool keep, IntegerFormat out) {
    MoveWorkload workload;
    int64_t total = 0, channels = 0;
    for (const int ifmap : ifmaps) {
      workload.input_elements.push_back(network.tensor(ifmap).elements());
      total += workload.input_elements.back();
      channels += network.tensor(ifmap).shape[0];
    }
    for (int64_t first = 0; first < stride; ++first) {
      for (int64_t i = first; i < total; i += stride) workload.source.push_back(i);
    }
    std::vector<int64_t> shape = network.tensor(ifmaps[0]).shape;
    shape[0] = channels;
    QuantizedLayer layer;
    layer.workload = workload;
    return add(layer, ifmaps, like(network.tensor(ifmaps[0]).quantization, shape, keep, out));
  }

  int flatten(int ifmap) {
    const int made = move({ifmap}, 1, true, {});
    auto& t = network.tensors[static_cast<size_t>(made)];
    t.shape = {t.elements()};
    return made;
  }

  std::vector<int32_t> images(int64_t count) {
    const QuantizedTensor& t = network.tensor(network.input);
    std::vector<int32_t> codes;
    for (int64_t i = 0; i < count * t.elements(); ++i) {
      codes.push_back(draw(random_, t.quantization.format.min(), t.quantization.format.max(),
                           Data::kUniform, 0));
    }
    return codes;
  }

  // Near `about`, up to a factor of 1.4 away.
  float scale(double about) {
    if (power_of_two_) return static_cast<float>(std::exp2(std::round(std::log2(about))));
    return static_cast<float>(about *
                              std::exp2(static_cast<double>(random_() % 1000) / 1000 - 0.5));
  }

 private:
  int32_t zero_point(IntegerFormat format) {
    return draw(random_, format.min(), format.max(), Data::kUniform, 0);
  }
  int like(TensorQuantization q, const std::vector<int64_t>& shape, bool keep, IntegerFormat out) {
    const int made = tensor(shape, out, scale(1.3 * q.scale), zero_point(out));
    if (keep) network.tensors.back().quantization = q;
    return made;
  }
  int tensor(std::vector<int64_t> shape, IntegerFormat format, float scale, int32_t zero_point) {
    const auto index = static_cast<int>(network.tensors.size());
    network.tensors.push_back({"t" + std::to_string(index),
                               std::move(shape),
                               {.format = format, .scale = scale, .zero_point = zero_point}});
    network.output = index;
    return index;
  }
  int add(QuantizedLayer layer, std::vector<int> ifmaps, int ofmap, bool relu = false) {
    layer.name = "layer" + std::to_string(network.layers.size());
    layer.ifmaps = std::move(ifmaps);
    layer.ofmap = ofmap;
    const TensorQuantization& q = network.tensor(ofmap).quantization;
    layer.q_min = relu ? q.zero_point : static_cast<int32_t>(q.format.min());
    layer.q_max = static_cast<int32_t>(q.format.max());
    network.layers.push_back(std::move(layer));
    return ofmap;
  }

  std::mt19937 random_;
  bool power_of_two_;
};

// Every workload once, operands of several formats: a residual branch, a shuffle, pooling, a
// fully connected end. Images are [3, 6, 5].
inline NetworkBuilder residual_network(uint32_t seed, bool power_of_two,
                                       int64_t bias_magnitude = 500) {
  NetworkBuilder b(seed, power_of_two);
  b.bias_magnitude = bias_magnitude;
  constexpr IntegerFormat u8{8, false}, s8{8, true}, u5{5, false};
  const LayerShape three{.group_ofmaps = 4}, point{.group_ofmaps = 4,
                                                   .kernel_rows = 1,
                                                   .kernel_cols = 1,
                                                   .pad_top = 0,
                                                   .pad_left = 0,
                                                   .pad_bottom = 0,
                                                   .pad_right = 0};
  const int in = b.input({3, 6, 5}, u8, 10);
  const int stem = b.matmul(in, three, {}, u8, true);
  const int depthwise = b.matmul(stem, {.groups = 4, .group_ofmaps = 1},
                                 {.format = {4, false}, .asymmetric = true}, s8);
  const int branch = b.matmul(depthwise, point, {.format = {6, true}, .per_channel = false}, u5);
  const int joined = b.sum(stem, branch, u8, true);
  const LayerShape half{
      .kernel_rows = 2, .kernel_cols = 3, .stride = 2, .pad_top = 0, .pad_bottom = 0};
  const int pooled = b.max_pool(joined, half, true, {});
  const int other = b.max_pool(depthwise, half, false, u8);
  const int both = b.move({pooled, other}, 1, false, u8);
  const int shuffled = b.move({both}, 4, true, {});
  b.narrow();
  const int clamped = b.clamp(shuffled, u8);
  LayerShape whole = point;
  whole.groups = 8;
  whole.group_ofmaps = 1;
  whole.kernel_rows = whole.kernel_cols = 3;
  const int means =
      b.matmul(clamped, whole, {.format = {1, false}, .per_channel = false, .unit = true}, u8);
  LayerShape classes = point;
  classes.group_ofmaps = 10;
  b.matmul(b.flatten(means), classes, {}, {12, true});
  return b;
}

// Takes the operands of residual_network as they are.
inline Datapath wide_datapath() {
  Datapath datapath;
  datapath.ifmap = {9, true};
  datapath.weight = {9, true};
  datapath.accumulation = chain(32, OverflowPolicy::kWrap);
  return datapath;
}

}  // namespace widthwise::testing_support
