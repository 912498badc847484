#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/integer_format.h"
#include "core/workload.h"

namespace widthwise {

// real = scale * (code - zero_point). zero_point is inside the format's range.
struct TensorQuantization {
  IntegerFormat format;
  float scale = 1;
  int32_t zero_point = 0;
  bool operator==(const TensorQuantization&) const = default;
};

// A tensor of the quantized network: the codes of one image.
struct QuantizedTensor {
  std::string name;
  std::vector<int64_t> shape;  // without the batch
  TensorQuantization quantization;
  bool is_real = false;  // real numbers between layers in float, not codes
  int64_t elements() const {
    int64_t product = 1;
    for (const int64_t extent : shape) product *= extent;
    return product;
  }
};

// What a layer computes with whose activations or weights are real numbers, as FloatLayer has it;
// its output becomes codes unless that tensor is real.
struct FloatParameters {
  std::vector<float> weights, bias;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

// One layer: a workload and its integers. Weights, biases and weight scales are of matmuls only.
struct QuantizedLayer {
  std::string name;           // the ONNX node's name, made unique
  std::string operator_type;  // "Conv", "Gemm", "Add", ...
  Workload workload;
  std::vector<int> ifmaps;  // indices into tensors
  int ofmap = -1;
  // Codes of the ofmap are clamped to [q_min, q_max]: its format's range, or less after a ReLU or
  // Clip.
  int32_t q_min = 0, q_max = 0;
  // Matmul: codes in [oc, ic / groups, kernel_rows, kernel_cols].
  IntegerFormat weight_format;
  std::vector<int32_t> weights;
  std::vector<float> weight_scales;         // one, or one per output channel
  std::vector<int32_t> weight_zero_points;  // as many as scales, or none: symmetric weights
  std::vector<int32_t> bias;  // per output channel, at scale ifmap * weight; zeros if there is none
  // A layer that computes with real numbers, which files hold and a datapath does not run. Bias and
  // weights are these; where the weights have codes, too, they stand for them.
  std::optional<FloatParameters> in_float = {};

  int32_t weight_zero_point(int64_t channel) const {
    if (weight_zero_points.size() <= 1)
      return weight_zero_points.empty() ? 0 : weight_zero_points[0];
    return weight_zero_points[static_cast<size_t>(channel)];
  }
  float weight_scale(int64_t channel) const {
    return weight_scales.size() == 1 ? weight_scales[0]
                                     : weight_scales[static_cast<size_t>(channel)];
  }
};

// Layers in an order in which every ifmap is written before it is read.
struct QuantizedNetwork {
  std::string name;
  std::vector<QuantizedTensor> tensors;
  std::vector<QuantizedLayer> layers;
  int input = -1, output = -1;

  const QuantizedTensor& tensor(int index) const { return tensors[static_cast<size_t>(index)]; }
};

}  // namespace widthwise
