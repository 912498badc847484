#pragma once
#include <algorithm>
#include <random>
#include <vector>

#include "core/accumulation.h"
#include "quant/quantized_network.h"

namespace widthwise::testing_support {

// What a random matmul layer is drawn from; small enough for the scalar reference.
struct LayerShape {
  int64_t groups = 1, group_ifmaps = 3, group_ofmaps = 2;
  int64_t rows = 5, cols = 5, kernel_rows = 3, kernel_cols = 3;
  int64_t stride = 1, dilation = 1, pad_top = 1, pad_left = 1, pad_bottom = 1, pad_right = 1;
};

// Fully connected, or 1x1 over some pixels.
inline LayerShape point_shape(int64_t ifmaps, int64_t ofmaps, int64_t rows = 1, int64_t cols = 1) {
  return {.group_ifmaps = ifmaps,
          .group_ofmaps = ofmaps,
          .rows = rows,
          .cols = cols,
          .kernel_rows = 1,
          .kernel_cols = 1,
          .pad_top = 0,
          .pad_left = 0,
          .pad_bottom = 0,
          .pad_right = 0};
}

enum class Data { kUniform, kExtremes, kSparse };

struct RandomLayer {
  QuantizedLayer layer;
  TensorQuantization ifmap;
  std::vector<int32_t> codes;  // [images, ic, rows, cols]
  int64_t images = 1;

  const MatmulWorkload& workload() const { return std::get<MatmulWorkload>(layer.workload); }
  std::span<const int32_t> image(int64_t index) const {
    const auto size = static_cast<size_t>(workload().window.ifmap_elements());
    return std::span<const int32_t>(codes).subspan(static_cast<size_t>(index) * size, size);
  }
};

inline int64_t out_extent(int64_t in, int64_t pads, int64_t kernel, int64_t stride,
                          int64_t dilation) {
  return (in + pads - (kernel - 1) * dilation - 1) / stride + 1;
}

inline int32_t draw(std::mt19937& random, int64_t low, int64_t high, Data data, int64_t rest) {
  if (data == Data::kExtremes) return static_cast<int32_t>(random() % 2 != 0 ? low : high);
  if (data == Data::kSparse && random() % 2 != 0) return static_cast<int32_t>(rest);
  return static_cast<int32_t>(
      low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1)));
}

inline RandomLayer random_layer(const LayerShape& s, IntegerFormat ifmap, int32_t zero_point,
                                IntegerFormat weight, int64_t images, Data data,
                                int64_t bias_magnitude, uint32_t seed) {
  std::mt19937 random(seed);
  MatmulWorkload workload;
  Window& w = workload.window;
  workload.groups = s.groups;
  w.ifmap_channels = s.groups * s.group_ifmaps;
  w.ofmap_channels = s.groups * s.group_ofmaps;
  w.ifmap_rows = s.rows;
  w.ifmap_cols = s.cols;
  w.kernel_rows = s.kernel_rows;
  w.kernel_cols = s.kernel_cols;
  w.stride_rows = w.stride_cols = s.stride;
  w.dilation_rows = w.dilation_cols = s.dilation;
  w.pad_top = s.pad_top;
  w.pad_left = s.pad_left;
  w.pad_bottom = s.pad_bottom;
  w.pad_right = s.pad_right;
  w.ofmap_rows = out_extent(s.rows, s.pad_top + s.pad_bottom, s.kernel_rows, s.stride, s.dilation);
  w.ofmap_cols = out_extent(s.cols, s.pad_left + s.pad_right, s.kernel_cols, s.stride, s.dilation);

  RandomLayer result;
  result.images = images;
  result.ifmap = {.format = ifmap, .scale = 1, .zero_point = zero_point};
  result.layer.name = "layer";
  result.layer.operator_type = "Conv";
  result.layer.workload = workload;
  result.layer.weight_format = weight;
  result.layer.weight_scales = {1};
  for (int64_t i = 0; i < workload.weight_elements(); ++i) {
    result.layer.weights.push_back(draw(random, weight.min(), weight.max(), data, 0));
  }
  for (int64_t i = 0; i < w.ofmap_channels; ++i) {
    result.layer.bias.push_back(draw(random, -bias_magnitude, bias_magnitude, Data::kUniform, 0));
  }
  for (int64_t i = 0; i < images * w.ifmap_elements(); ++i) {
    result.codes.push_back(draw(random, ifmap.min(), ifmap.max(), data, zero_point));
  }
  return result;
}

inline Accumulation chain(int bits, OverflowPolicy overflow, BiasMode bias = BiasMode::kPreload) {
  Accumulation accumulation;
  accumulation.stages = {Stage{.bits = bits, .overflow = overflow}};
  accumulation.bias = bias;
  return accumulation;
}

inline Accumulation tree_chain(int64_t length, int bits, OverflowPolicy overflow,
                               BiasMode bias = BiasMode::kPreload) {
  Accumulation accumulation = chain(bits, overflow, bias);
  accumulation.stages.insert(accumulation.stages.begin(),
                             Stage{.kind = Stage::Kind::kTree, .length = length});
  return accumulation;
}

}  // namespace widthwise::testing_support
