#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/network.h"
#include "quant/linear_layer.h"
#include "quant/statistics.h"

namespace widthwise {

// What a layer is to be quantized with, after options, patterns and exclusions.
struct ModuleSettings {
  std::optional<int> bits_activations = 8, bits_weights = 8;  // empty: float
  int accumulator_bits = 32;
  QuantizationMode mode_activations = QuantizationMode::kSymmetric;
  QuantizationMode mode_weights = QuantizationMode::kSymmetric;
  ClippingChoice clip;
  bool per_channel = false;
  std::optional<int> approximate_bits;
  // How an input that brings no quantization gets one: as the layer's output, or as stated.
  bool input_fallback = true;
  bool quantize_inputs = true;  // of layers of a float operation: inputs that bring none
  struct Input {
    bool from_output = false;  // the output's settings; the range is the input's own
    std::optional<int> bits = {};
    std::optional<QuantizationMode> mode = {};
    std::optional<ClippingChoice> clip = {};
  };
  std::map<int, Input> inputs = {};

  // Whether the output, or an input that has its own clipping, is clipped in a way that is asked
  // about.
  template <class Asked>
  bool clips(const Asked& asked) const {
    return asked(clip.clipping) ||
           std::any_of(inputs.begin(), inputs.end(), [&](const auto& input) {
             return input.second.clip && asked(input.second.clip->clipping);
           });
  }
};

// A layer of a float network, quantized as Distiller does.
struct DistillerLayer {
  enum class Kind {
    kProduct,   // Conv, Gemm: integers
    kAdd,       // integers
    kConcat,    // integers
    kFake,      // float, its output quantized
    kFloat,     // as it is; a product with weights that were quantized, perhaps
    kMove,      // reshaping and the like: the quantization is lost
    kIdentity,  // a ReLU that the layer before has taken in
  };
  Kind kind = Kind::kFloat;
  std::string module;
  bool relu = false;  // max(accumulator, 0); of kFake: of its float result
  ActivationSettings activations;
  int accumulator_bits = 32;
  bool quantize_inputs = true;  // of kFake: those that bring no quantization
  // Per input that brings none: settings, and what they come to where ranges are static.
  struct Input {
    ActivationSettings settings;
    bool refused = false;  // no fallback, and nothing stated
    bool quirk = false;    // of kDistiller04: codes of the wrong sign
    std::optional<LinearQuantization> quantization = {};
  };
  std::vector<Input> inputs;
  std::optional<LinearQuantization> ofmap;  // static
  QuantizedWeights weights;                 // kProduct
  std::optional<LinearQuantization> ifmap;  // of kProduct, static: brought, or its own
  QuantizationMode mode_weights = QuantizationMode::kSymmetric;
  int bits_weights = 8;
};

// A network in the arithmetic of a release of Distiller (sim/distiller_runner.h runs it), or in the
// same without its faults. Ranges are static, or taken from each batch.
struct DistillerNetwork {
  Compat compat = Compat::kDistiller04;
  bool dynamic = false;
  FloatNetwork network;                // weights are what a float layer multiplies with
  std::vector<DistillerLayer> layers;  // as network.layers
  // What the ranges came from: with the limits of a ReLU after a layer (see distiller_network.cpp).
  NetworkStatistics statistics;
};

// `network` is lowered with Clamps::kLayers; `modules` and `settings` are those of its layers.
// `statistics`: null for dynamic ranges. Throws InputError for a layer without statistics, a record
// that lacks what a clipping takes, or that is none.
DistillerNetwork quantize_as_distiller(FloatNetwork network,
                                       const std::vector<std::string>& modules,
                                       const std::vector<ModuleSettings>& settings,
                                       const NetworkStatistics* statistics, Compat compat);

}  // namespace widthwise
