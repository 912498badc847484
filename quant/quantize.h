#pragma once
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/network.h"
#include "quant/linear_quantization.h"
#include "quant/quantized_network.h"
#include "quant/statistics.h"

namespace widthwise {

// Distiller's modes are these with a format: sym (kSymmetricFull, signed), sym_restr (kSymmetric,
// signed), asym_u and asym_s (kAsymmetric, unsigned and signed).
enum class Symmetry { kSymmetric, kAsymmetric, kSymmetricFull };
inline Symmetry symmetry_of(QuantizationMode mode) {
  if (mode == QuantizationMode::kSymmetric) return Symmetry::kSymmetricFull;
  return mode == QuantizationMode::kSymmetricRestricted ? Symmetry::kSymmetric
                                                        : Symmetry::kAsymmetric;
}

// How the range of an activation is chosen (quant/activation_range.h).
struct ActivationRange {
  Clipping clipping = Clipping::kNone;
  double n_stds = 3;          // of kNStd, > 0
  double percentile = 99.99;  // of kPercentile, % of the values inside, > 0, <= 100
};

// How the range of weights is chosen (quant/weight_range.h).
enum class WeightClipping { kMinMax, kMse, kPercentile };
struct WeightRange {
  WeightClipping clipping = WeightClipping::kMinMax;
  double percentile = 99.9;  // of kPercentile, % of the weights inside, > 0, <= 100
};

// How weights become codes: each by itself, or by what the layer's output errs.
enum class WeightRounding { kNearest, kGptq };

// Static post-training quantization. As it is: from min/max ranges.
struct QuantizationConfig {
  struct LayerBits {
    std::optional<int> ifmap, weight;
    bool operator==(const LayerBits&) const = default;
  };
  IntegerFormat ifmap{8, false};  // 2..8 bits; of every tensor that feeds a matmul or lies between
  IntegerFormat weight{8, true};  // 2..8 bits
  int output_bits = 8;            // of the network's output, so that classes do not tie; 2..16
  Symmetry activations = Symmetry::kAsymmetric;
  Symmetry weights = Symmetry::kSymmetric;
  bool per_channel = true;                  // weights: one scale per output channel
  bool power_of_two_scales = false;         // round every scale up to a power of two
  std::map<std::string, LayerBits> layers;  // by layer name, in place of all bits here
  // By name: layers that compute with real numbers (quant/float_parts.h). Of the first, what they
  // read and write is real where nothing else wants codes, which they read at 8 bits unless
  // `layers` says otherwise; of the second, the weights are. A layer in float is in both.
  std::set<std::string> float_activations, float_weights;
  ActivationRange activation_range;
  std::map<std::string, ActivationRange> tensor_ranges;  // by tensor name, in its place
  WeightRange weight_range;
  // Symmetric activations: tensors without negative values get unsigned codes.
  bool unsigned_activations = false;
  // Of what sums, joins (Add, Concat) and average pools read, 2..8. A matmul that wants fewer reads
  // the tensor through a layer that rescales codes, so that readers may differ. Empty: as matmuls.
  std::optional<int> elementwise_bits;
  std::optional<int> first_last_bits;  // of weights and ifmaps of the first and the last matmul
  // What quantize_calibrated() does and quantize(), which has no images, does not.
  WeightRounding rounding = WeightRounding::kNearest;
  bool bias_correction = false, equalization = false;
};

// Scale and zero point of a range; the range is widened to include 0, so that 0 is a code. Zero
// points of symmetric ranges are 0.
//   kAsymmetric:             (max - min) / (2^bits - 1), zero point q_min - round(min / scale)
//   kSymmetric, signed:      max|x| / (2^(bits-1) - 1); the least code is for values outside
//   kSymmetricFull, signed:  max|x| / ((2^bits - 1) / 2)
//   both, unsigned:          max / (2^bits - 1); needs min >= 0
// A range of 0 width gets scale 1. float32 division; rounding half to even.
TensorQuantization range_quantization(float min, float max, IntegerFormat format, Symmetry symmetry,
                                      bool power_of_two_scale);

// q = clamp(rint(x / scale) + zero_point): ONNX QuantizeLinear, in float32.
int32_t quantize_value(float value, const TensorQuantization& quantization);

// Real biases to codes at scale ifmap * weight, half to even; zeros for none. Throws InputError for
// a code that leaves int32.
std::vector<int32_t> bias_codes(const QuantizedLayer& layer, std::span<const float> bias,
                                const TensorQuantization& ifmap);

// Throws InputError for what quantize() refuses whatever the statistics are: bits out of range,
// readers that ask for different bits, unknown layer names, nothing to quantize.
void check_config(const FloatNetwork& network, const QuantizationConfig& config);

// Quantizes a network for a datapath.
//   Tensors: range from `statistics`, which a fused ReLU or Clip has limited. Data movement with
//   one input and max-pooling keep their input's quantization. Bits are those of the layer that
//   reads the tensor. Weights: range of the tensor or of each output channel. Average pooling: code
//   1, scale 1/(taps). Bias: round half even to the scale ifmap * weight, int32;
//   a channel's scale grows where that would not hold its bias.
// Throws InputError: a tensor without statistics (or without what its range needs), statistics that
// are not finite or have min > max, bits out of range, readers that ask for different bits, a bias
// that leaves int32, unknown layer names.
QuantizedNetwork quantize(const FloatNetwork& network, const Statistics& statistics,
                          const QuantizationConfig& config);

}  // namespace widthwise
