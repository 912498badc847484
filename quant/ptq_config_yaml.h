#pragma once
#include <string>
#include <string_view>

#include "quant/ptq_options.h"

namespace widthwise {

// Distiller's configuration file (--qe-config-file):
//   <section>: {<component>: {class: PostTrainLinearQuantizer, bits_activations: 8, ...}}
// with one component of that class; a section `policies` is passed over. Beyond
// Distiller: clippings PERCENTILE, KL and MSE, and the keys percentile, no_clip_layers,
// no_quant_layers and dynamic. A key with null is left out, where null is no value of it. `file` is
// named in messages. Throws InputError with line, key and the known keys.
PtqOptions read_ptq_config(std::string_view yaml, const std::string& file);
PtqOptions load_ptq_config(const std::string& path);

// A mapping of patterns to settings, as under the key `overrides`.
std::vector<PatternOverride> read_overrides(std::string_view yaml, const std::string& file);

// A configuration that reads back equal. Keys of ours appear only where they are used. `beside`:
// options that no key is for, which a comment lists; may be empty.
std::string ptq_config_yaml(const PtqOptions& options, const std::string& beside = "");
std::string override_yaml(const ModuleOverride& settings);  // "{bits_weights: 4}"

// As in configuration files: "ASYMMETRIC_UNSIGNED", "N_STD".
const char* mode_word(QuantizationMode mode);
const char* clipping_word(Clipping clipping);

}  // namespace widthwise
