#include "quant/ptq_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/error.h"

namespace widthwise {
namespace {

bool is_one_of(const std::string& type, std::initializer_list<const char*> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}
bool is_product(const std::string& type) { return has_weights(type) && type != "Embedding"; }
bool is_sum(const std::string& type) {
  return is_one_of(type, {"EltwiseAdd", "EltwiseMult", "Concat", "Matmul", "BatchMatmul"});
}

[[noreturn]] void refuse(const Module& module, const std::string& file, const std::string& field,
                         const std::string& problem, const std::string& fix) {
  throw InputError({.file = file,
                    .where = "layer '" + module.name + "'",
                    .field = field,
                    .problem = problem,
                    .fix = fix});
}

// fpq_module and fake: what floats and fake quantization are in terms of bits.
void apply_float(std::optional<int> fpq, bool fake, const std::string& file, ResolvedModule& to) {
  const std::string& type = to.module.type;
  if (fpq && *fpq != 32)
    refuse(to.module, file, "fpq_module", fmt::format("is {}, but only 32 is carried out", *fpq),
           "take 32, which leaves the layer in float");
  const bool leaf = !has_weights(type) && !is_sum(type);
  if (!fake) {
    if (fpq) {
      to.settings.bits_activations = to.settings.bits_weights = std::nullopt;
    } else if (leaf) {
      refuse(to.module, file, "fake", "is False, but no fpq_module says what then",
             "add fpq_module: 32");
    }
  } else if (is_product(type)) {
    to.settings.bits_weights = std::nullopt;
  } else if (!leaf) {
    refuse(to.module, file, "fake", "is not carried out for " + type, "leave it out");
  }
}

}  // namespace

bool takes_key(const std::string& type, const std::string& key, Compat compat) {
  if (is_one_of(type, {"Dropout", "Identity"})) return true;  // never replaced
  const bool bits = key == "bits_activations" || key == "bits_weights" || key == "bits_bias";
  if (compat == Compat::kNone) {
    if (key == "bits_bias") return false;
    if (key == "bits_weights") return has_weights(type);
    if (key == "mode" || key == "inputs_quant_auto_fallback") return type != "Embedding";
  }
  if (bits) return true;
  const std::set<std::string> of_all = {"fp16", "fpq_module", "clip_acts", "clip_n_stds",
                                        "clip_half_range"};
  if (of_all.contains(key)) return true;
  if (type == "Embedding") return false;
  const std::set<std::string> of_most = {"scale_approx_mult_bits", "input_overrides", "fake"};
  if (of_most.contains(key)) return true;
  if (key == "mode" || key == "per_channel_wts") return is_product(type);
  if (key == "inputs_quant_auto_fallback") return !is_product(type);
  return !is_product(type) && !is_sum(type);  // quantize_inputs, make_identity
}

ResolvedModule by_options(const PtqOptions& options, const Module& module) {
  ResolvedModule result;
  result.module = module;
  const bool weights = has_weights(module.type);
  if (weights) result.bits_bias = options.bits_accum;
  ModuleSettings& s = result.settings;
  s.bits_activations = options.bits_activations;
  s.bits_weights = weights ? options.bits_weights : std::nullopt;
  s.accumulator_bits = options.bits_accum;
  s.mode_activations = options.mode_activations;
  s.mode_weights = options.mode_weights;
  s.clip = {.clipping = options.clip_acts,
            .n_stds = options.clip_n_stds,
            .half_range = options.clip_half_range,
            .percentile = options.percentile};
  s.per_channel = weights && options.per_channel;
  s.approximate_bits = options.scale_approx_bits;
  s.input_fallback = options.inputs_quant_auto_fallback;
  return result;
}

void apply(const ModuleOverride& stated, const PtqOptions& options, Compat compat,
           const std::string& file, ResolvedModule& to) {
  const std::string& type = to.module.type;
  const auto takes = [&](const char* key) { return takes_key(type, key, compat); };
  const auto set = [&](const char* key, const auto& value, auto& member) {
    if (value && takes(key)) member = *value;
  };
  ModuleSettings& s = to.settings;
  set("bits_activations", stated.bits_activations, s.bits_activations);
  if (has_weights(type)) {
    set("bits_weights", stated.bits_weights, s.bits_weights);
    set("bits_bias", stated.bits_bias, to.bits_bias);
  }
  set("clip_acts", stated.clip_acts, s.clip.clipping);
  set("clip_n_stds", stated.clip_n_stds, s.clip.n_stds);
  set("clip_half_range", stated.clip_half_range, s.clip.half_range);
  set("scale_approx_mult_bits", stated.scale_approx_mult_bits, s.approximate_bits);
  set("per_channel_wts", stated.per_channel_wts, s.per_channel);
  set("inputs_quant_auto_fallback", stated.inputs_quant_auto_fallback, s.input_fallback);
  set("quantize_inputs", stated.quantize_inputs, s.quantize_inputs);
  if (stated.mode && takes("mode")) {
    s.mode_activations = stated.mode->activations;
    s.mode_weights = stated.mode->weights;
  }
  if (takes("input_overrides")) {
    for (const auto& [index, input] : stated.input_overrides) {
      ModuleSettings::Input& own = s.inputs[index];
      own.from_output = input.from_output;
      if (input.from_output) continue;
      own.bits = input.bits_activations;
      own.mode = input.mode;
      // What is not stated is as the output's, but never of a half range.
      own.clip = ClippingChoice{.clipping = input.clip_acts.value_or(s.clip.clipping),
                                .n_stds = input.clip_n_stds.value_or(s.clip.n_stds),
                                .percentile = s.clip.percentile};
    }
  }
  if (stated.make_identity.value_or(false) && takes("make_identity"))
    refuse(to.module, file, "make_identity", "is not carried out",
           "leave it out: a ReLU that alone reads a layer becomes that layer's");
  std::optional<int> fpq = stated.fpq_module.value_or(options.fpq_module);
  if (stated.fp16.value_or(false) && !fpq) fpq = 16;
  const bool leaf = !has_weights(type) && !is_sum(type);
  const bool fake = takes("fake") ? stated.fake.value_or(leaf) : false;
  if (fpq || stated.fake) apply_float(fpq, fake, file, to);
}

void check(const ResolvedModule& module, const std::string& file) {
  const ModuleSettings& s = module.settings;
  const auto check_clip = [&](const ClippingChoice& clip, std::optional<int> bits,
                              const std::string& field) {
    if (is_aciq(clip.clipping) && bits && *bits > 8)
      refuse(module.module, file, field + "clip_acts",
             fmt::format("is {} with {} bits, which it knows factors of up to 8 for",
                         clipping_name(clip.clipping), *bits),
             "take up to 8 bits, or another clipping");
    if (clip.clipping == Clipping::kNStd && bits && clip.n_stds <= 0)
      refuse(module.module, file, field + "clip_n_stds", "is missing, which clip_acts N_STD takes",
             "add it, such as clip_n_stds: 2.5");
  };
  check_clip(s.clip, s.bits_activations, "");
  const auto check_mode = [&](QuantizationMode mode, std::optional<int> bits, const char* what) {
    if (mode == QuantizationMode::kSymmetricRestricted && bits == 1)
      refuse(module.module, file, std::string("bits_") + what,
             "is 1, of which sym_restr has the code 0 alone",
             "take 2 bits or more, or another mode");
  };
  check_mode(s.mode_activations, s.bits_activations, "activations");
  if (has_weights(module.module.type)) check_mode(s.mode_weights, s.bits_weights, "weights");
  if (!s.bits_activations) return;
  for (const auto& [index, input] : s.inputs) {
    if (input.clip)
      check_clip(*input.clip, input.bits ? input.bits : s.bits_activations,
                 fmt::format("input_overrides.{}.", index));
  }
}

void check_stated(const ResolvedModule& module, const std::string& file) {
  const ModuleSettings& s = module.settings;
  if (module.no_quant) return;
  if (is_clipping(module.stated.clip_acts.value_or(Clipping::kNone)) && !s.bits_activations)
    refuse(module.module, file, "clip_acts", "is given, but its activations are left in float",
           "give bits_activations, or leave it out");
  if (module.stated.per_channel_wts.value_or(false) && has_weights(module.module.type) &&
      !s.bits_weights)
    refuse(module.module, file, "per_channel_wts", "is given, but its weights are left in float",
           "give bits_weights, or leave it out");
  if (!s.bits_activations || module.no_clip) return;
  if (module.stated.clip_n_stds && !s.clips([](Clipping clip) { return clip == Clipping::kNStd; }))
    refuse(module.module, file, "clip_n_stds", "is given, but clip_acts is not N_STD",
           "add clip_acts: N_STD, or leave it out");
  if (module.stated.clip_half_range.value_or(false) && !s.clips(is_aciq))
    refuse(module.module, file, "clip_half_range",
           "is given, but clip_acts is neither GAUSS nor LAPLACE, which have one", "leave it out");
}

}  // namespace widthwise
