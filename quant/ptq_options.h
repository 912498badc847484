#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quant/linear_quantization.h"

namespace widthwise {

struct QuantizationModes {
  QuantizationMode activations = QuantizationMode::kSymmetric;
  QuantizationMode weights = QuantizationMode::kSymmetric;
  bool operator==(const QuantizationModes&) const = default;
};

// What an override states of a layer. Empty: as the options have it. Where null means something of
// its own (float, or no approximation), the inner optional is empty.
struct ModuleOverride {
  using NullableInt = std::optional<std::optional<int>>;

  // Of an input that brings no quantization.
  struct Input {
    bool from_output = false;  // as the layer's output; then the others are empty
    std::optional<int> bits_activations = {};
    std::optional<QuantizationMode> mode = {};
    std::optional<Clipping> clip_acts = {};
    std::optional<double> clip_n_stds = {};
    bool operator==(const Input&) const = default;
  };

  NullableInt bits_activations = {}, bits_weights = {}, bits_bias = {};
  std::optional<Clipping> clip_acts = {};
  std::optional<double> clip_n_stds = {};
  std::optional<bool> clip_half_range = {};
  NullableInt scale_approx_mult_bits = {};
  std::map<int, Input> input_overrides = {};  // by index of the input
  NullableInt fpq_module = {};
  std::optional<bool> fp16 = {}, fake = {};
  std::optional<QuantizationModes> mode = {};
  std::optional<bool> per_channel_wts = {}, inputs_quant_auto_fallback = {};
  std::optional<bool> quantize_inputs = {}, make_identity = {};
  bool operator==(const ModuleOverride&) const = default;
};

// Calls visit(key, member) for each of an override's keys, as they are written in YAML.
template <class Override, class Visit>
void visit_keys(Override& o, Visit&& visit) {
  visit("bits_activations", o.bits_activations);
  visit("bits_weights", o.bits_weights);
  visit("bits_bias", o.bits_bias);
  visit("clip_acts", o.clip_acts);
  visit("clip_n_stds", o.clip_n_stds);
  visit("clip_half_range", o.clip_half_range);
  visit("scale_approx_mult_bits", o.scale_approx_mult_bits);
  visit("input_overrides", o.input_overrides);
  visit("fpq_module", o.fpq_module);
  visit("fp16", o.fp16);
  visit("fake", o.fake);
  visit("mode", o.mode);
  visit("per_channel_wts", o.per_channel_wts);
  visit("inputs_quant_auto_fallback", o.inputs_quant_auto_fallback);
  visit("quantize_inputs", o.quantize_inputs);
  visit("make_identity", o.make_identity);
}
std::vector<std::string> given_keys(const ModuleOverride& settings);

struct PatternOverride {
  std::string pattern;  // regular expression of module names
  ModuleOverride settings;
  int line = 0;  // of its file, from 1; 0: of no file. Not compared.
  bool operator==(const PatternOverride& other) const {
    return pattern == other.pattern && settings == other.settings;
  }
};

// Distiller's settings of post-training quantization, as --qe-... options or a configuration file
// state them.
struct PtqOptions {
  std::optional<int> bits_activations = 8, bits_weights = 8;  // empty: float
  int bits_accum = 32;
  QuantizationMode mode_activations = QuantizationMode::kSymmetric;
  QuantizationMode mode_weights = QuantizationMode::kSymmetric;
  Clipping clip_acts = Clipping::kNone;
  double clip_n_stds = 0;     // 0: not given
  double percentile = 99.99;  // of the clipping PERCENTILE: % of the values inside
  bool clip_half_range = false;
  bool per_channel = false;
  std::optional<int> scale_approx_bits = {};
  bool inputs_quant_auto_fallback = true;
  std::optional<int> fpq_module = {};  // 16, 32, 64: every layer in that float
  bool save_fp_weights = false;        // has no effect on numbers
  bool also_clip_weights = false;
  std::vector<std::string> no_clip_layers, no_quant_layers;  // regular expressions
  std::string statistics_file;
  bool dynamic = false;
  std::vector<PatternOverride> overrides;  // in order
  bool operator==(const PtqOptions&) const = default;
};

// What messages call a setting: the option, or, where it was read from a file, its key there.
inline const char* setting_name(const std::string& file, const char* option, const char* key) {
  return file.empty() ? option : key;
}

// Whether a layer or an input is stated to be clipped in a way that is asked about.
template <class Asked>
bool clips(const PtqOptions& options, const Asked& asked) {
  const auto is = [&](const std::optional<Clipping>& clip) { return clip && asked(*clip); };
  return asked(options.clip_acts) ||
         std::any_of(options.overrides.begin(), options.overrides.end(), [&](const auto& entry) {
           const auto& inputs = entry.settings.input_overrides;
           return is(entry.settings.clip_acts) ||
                  std::any_of(inputs.begin(), inputs.end(),
                              [&](const auto& input) { return is(input.second.clip_acts); });
         });
}

// Least and greatest number of bits that a key of files may state.
struct BitLimits {
  int low, high;
};
BitLimits bit_limits(std::string_view key);

// Whether any layer's activations or weights are to have codes, by what is stated.
bool quantizes_activations(const PtqOptions& options);
bool quantizes_weights(const PtqOptions& options);

// Throws InputError for what means nothing, or is not carried out. `file` is the one that the
// options were read from, if any: fields are named by its keys, and as on the command line without
// one.
void check(const PtqOptions& options, const std::string& file = "");

}  // namespace widthwise
