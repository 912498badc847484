#include "bench/resnet18.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <random>

#include "bench/random_layer.h"

namespace widthwise {
namespace {

// Convolutions give real values of variance 1 for ifmaps that are half 0, half half-normal.
class Maker {
 public:
  QuantizedNetwork network;

  // A tensor of real values of variance `sigma`^2 before a ReLU, or as they are: codes around 128.
  int tensor(int64_t channels, int64_t size, double sigma, bool relu) {
    const double scale = sigma / (relu ? kCodeSigma : kCodeSigma / 2);
    network.tensors.push_back(
        {fmt::format("t{}", network.tensors.size()),
         {channels, size, size},
         {.format = {8, false}, .scale = static_cast<float>(scale), .zero_point = relu ? 0 : 128}});
    return static_cast<int>(network.tensors.size()) - 1;
  }

  int convolution(int ifmap, int64_t ofmaps, int64_t kernel, int64_t stride, bool relu) {
    const auto [channels, size] = extent(ifmap);
    QuantizedLayer layer = random_layer(
        {.ifmaps = channels, .ofmaps = ofmaps, .size = size, .kernel = kernel, .stride = stride},
        Data::kRelu, random_);
    const auto& workload = std::get<MatmulWorkload>(layer.workload);
    const double ifmap_rms = kCodeSigma / std::numbers::sqrt2 * scale(ifmap);
    const double weight_rms = kWeightMean * std::numbers::sqrt2;
    layer.weight_scales = {
        static_cast<float>(1 / (ifmap_rms * weight_rms *
                                std::sqrt(static_cast<double>(workload.reduction_length()))))};
    const int ofmap = tensor(ofmaps, workload.window.ofmap_rows, 1, relu);
    return add(std::move(layer), {ifmap}, ofmap);
  }

  int max_pool(int ifmap) {
    const auto [channels, size] = extent(ifmap);
    const Window window =
        window_of({.ifmaps = channels, .ofmaps = channels, .size = size, .kernel = 3, .stride = 2});
    QuantizedLayer layer;
    layer.operator_type = "MaxPool";
    layer.workload = MaxPoolWorkload{window};
    const int ofmap = tensor(channels, window.ofmap_rows, 1, true);
    return add(std::move(layer), {ifmap}, ofmap);
  }

  int sum(int first, int second) {
    const auto [channels, size] = extent(first);
    QuantizedLayer layer;
    layer.operator_type = "Add";
    layer.workload =
        ElementwiseWorkload{ElementwiseWorkload::Kind::kAdd, network.tensor(first).elements()};
    const int ofmap = tensor(channels, size, std::numbers::sqrt2, true);
    return add(std::move(layer), {first, second}, ofmap);
  }

  int mean(int ifmap) {
    const auto [channels, size] = extent(ifmap);
    MatmulWorkload workload;
    workload.groups = channels;
    workload.unit_weights = true;
    workload.window = window_of(
        {.ifmaps = channels, .ofmaps = channels, .size = size, .kernel = size, .stride = size});
    Window& w = workload.window;
    w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = 0;
    w.ofmap_rows = w.ofmap_cols = 1;
    QuantizedLayer layer;
    layer.operator_type = "GlobalAveragePool";
    layer.workload = workload;
    layer.weight_format = {1, false};
    layer.weights.assign(static_cast<size_t>(workload.weight_elements()), 1);
    layer.weight_scales = {1 / static_cast<float>(size * size)};
    layer.bias.assign(static_cast<size_t>(channels), 0);
    const int ofmap = tensor(channels, 1, 1, true);
    return add(std::move(layer), {ifmap}, ofmap);
  }

  int block(int ifmap, int64_t ofmaps, int64_t stride) {
    const int first = convolution(ifmap, ofmaps, 3, stride, true);
    const int second = convolution(first, ofmaps, 3, 1, false);
    const int shortcut = stride == 1 ? ifmap : convolution(ifmap, ofmaps, 1, stride, false);
    return sum(second, shortcut);
  }

 private:
  std::pair<int64_t, int64_t> extent(int tensor) const {  // channels, rows
    const auto& shape = network.tensor(tensor).shape;
    return {shape[0], shape[1]};
  }
  double scale(int tensor) const { return network.tensor(tensor).quantization.scale; }

  int add(QuantizedLayer layer, std::vector<int> ifmaps, int ofmap) {
    layer.name = fmt::format("layer{}", network.layers.size());
    layer.ifmaps = std::move(ifmaps);
    layer.ofmap = ofmap;
    layer.q_max = 255;
    network.layers.push_back(std::move(layer));
    return ofmap;
  }

  std::mt19937 random_{1};
};

}  // namespace

QuantizedNetwork resnet18(int64_t size) {
  Maker maker;
  maker.network.name = fmt::format("resnet18_at{}", size);
  maker.network.input = maker.tensor(3, size, 1, true);
  int at = maker.max_pool(maker.convolution(maker.network.input, 64, 7, 2, true));
  for (const int64_t channels : {64, 128, 256, 512}) {
    at = maker.block(at, channels, channels == 64 ? 1 : 2);
    at = maker.block(at, channels, 1);
  }
  maker.network.output = maker.convolution(maker.mean(at), 1000, 1, 1, false);
  return std::move(maker.network);
}

std::vector<int32_t> random_images(const QuantizedNetwork& network, int64_t count) {
  std::mt19937 random(2);
  return random_codes(count * network.tensor(network.input).elements(), Data::kRelu, random);
}

}  // namespace widthwise
