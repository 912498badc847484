#pragma once
#include <string>
#include <vector>

#include "models/network.h"
#include "quant/distiller_network.h"
#include "quant/ptq_options.h"

namespace widthwise {

// A layer by its name in PyTorch and its class there.
struct Module {
  std::string name;
  std::string type;  // "Conv2d", "Linear", "ReLU", "EltwiseAdd", ...
};

// The class of a layer: Conv is Conv2d, Gemm and MatMul are Linear, Add is EltwiseAdd, Relu is
// ReLU, Clip is ReLU6, AveragePool and GlobalAveragePool are AvgPool2d, MaxPool is MaxPool2d;
// others keep the name of their ONNX operator.
std::string module_type(const FloatLayer& layer);
bool has_weights(const std::string& type);  // that are quantized: Conv2d, Conv3d, Linear, Embedding

struct ResolvedModule {
  Module module;
  ModuleSettings settings;             // bits_weights is empty where the type has none
  std::optional<int> bits_bias;        // as Distiller lists it; the accumulator's bits count
  std::optional<std::string> matched;  // the pattern of overrides that decided
  std::optional<std::string> no_clip, no_quant;  // the pattern of those lists
  std::optional<std::string> joins;              // a ReLU: the layer that it is part of
  bool only_moves = false;                       // data movement, which keeps what it is given
  ModuleOverride stated;                         // by `matched`
};

struct ResolvedSettings {
  std::vector<ResolvedModule> modules;
  // Patterns that decide about no module. Of kNone: because others come before.
  std::vector<std::string> without_effect;

  std::vector<ModuleSettings> settings() const;  // as modules
};

// What each module is quantized with. Patterns decide as PatternMatcher says (ptq_match.h).
//
// kNone: a pattern that matches no module is refused, and so is a key that none of its modules
// takes; others take it. Of the modules that no_clip_layers and no_quant_layers match, whatever
// overrides say, the first are not clipped and the second stay in float.
//
// kDistiller03, kDistiller04: the two lists are overrides behind the others; a pattern without a
// match is passed over; a key that one module does not take is refused.
//
// Throws InputError, which names `file` (of the overrides) and the line; also for what is not
// carried out: floats other than 32 bits, fake quantization of sums, make_identity, and, of kNone,
// bits_bias.
ResolvedSettings resolve(const PtqOptions& options, const std::vector<Module>& modules,
                         Compat compat, const std::string& file);

}  // namespace widthwise
