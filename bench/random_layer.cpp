#include "bench/random_layer.h"

#include <algorithm>

namespace widthwise {

Window window_of(const ConvolutionShape& shape) {
  Window w;
  w.ifmap_channels = shape.ifmaps;
  w.ofmap_channels = shape.ofmaps;
  w.ifmap_rows = w.ifmap_cols = shape.size;
  w.kernel_rows = w.kernel_cols = shape.kernel;
  w.stride_rows = w.stride_cols = shape.stride;
  w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = shape.kernel / 2;
  const int64_t steps = (shape.size + 2 * w.pad_top - shape.kernel) / shape.stride;
  w.ofmap_rows = w.ofmap_cols = steps + 1;
  return w;
}

QuantizedLayer random_layer(const ConvolutionShape& shape, Data data, std::mt19937& random) {
  MatmulWorkload workload;
  workload.groups = shape.groups;
  workload.window = window_of(shape);
  QuantizedLayer layer;
  layer.operator_type = "Conv";
  layer.workload = workload;
  layer.q_max = 255;
  layer.weight_format = {8, true};
  layer.weight_scales = {1};
  layer.bias.assign(static_cast<size_t>(shape.ofmaps), 0);
  std::exponential_distribution<double> magnitude(1.0 / kWeightMean);
  layer.weights.resize(static_cast<size_t>(workload.weight_elements()));
  for (auto& weight : layer.weights) {
    const int code = data == Data::kRelu ? std::min(127, static_cast<int>(magnitude(random)))
                                         : static_cast<int>(random() % 128);
    weight = random() % 2 != 0 ? code : -code;
  }
  return layer;
}

std::vector<int32_t> random_codes(int64_t count, Data data, std::mt19937& random) {
  std::vector<int32_t> codes;
  std::normal_distribution<double> value(0, kCodeSigma);
  for (int64_t i = 0; i < count; ++i) {
    codes.push_back(data == Data::kRelu ? std::clamp(static_cast<int>(value(random)), 0, 255)
                                        : static_cast<int>(random() % 256));
  }
  return codes;
}

}  // namespace widthwise
