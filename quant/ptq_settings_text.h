#pragma once
#include <string>

#include "quant/ptq_resolve.h"
#include "quant/quantized_network.h"

namespace widthwise {

// Of a run, or of a network file, which states neither accumulators nor requantizers.
enum class SettingsOf { kRun, kFile };
// A table with a line for each layer: what it is, which pattern decided, and what it is quantized
// with. Below it, patterns without effect.
std::string settings_text(const ResolvedSettings& settings, SettingsOf of = SettingsOf::kRun);

// The same in the manner of Distiller's layer_quant_params.yaml: an entry for each layer and, with
// the quantized network that came of it, scales, zero points and least and greatest code of
// outputs and weights under linear_quant_params; as there, scale multiplies
// (quant/linear_quantization.h).
std::string settings_yaml(const ResolvedSettings& settings,
                          const DistillerNetwork* network = nullptr);

// With a network of codes as it is written: under `quantized`, by layer, formats, scales and zero
// points as ONNX has them: real = scale * (code - zero_point). `settings` may have no layers.
std::string settings_yaml(const ResolvedSettings& settings, const QuantizedNetwork& network);

}  // namespace widthwise
