#include "cli/ptq_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/refuse_option.h"
#include "quant/ptq_config_yaml.h"

namespace widthwise {
namespace {

QuantizationMode mode_named(const std::string& name, const std::string& option) {
  for (const auto mode :
       {QuantizationMode::kSymmetric, QuantizationMode::kSymmetricRestricted,
        QuantizationMode::kAsymmetricUnsigned, QuantizationMode::kAsymmetricSigned}) {
    if (name == mode_name(mode)) return mode;
  }
  refuse_option(option, "is '" + name + "', allowed sym, sym_restr, asym_u, asym_s",
                "name one of these");
}

Clipping clipping_named(const std::string& name) {
  std::vector<std::string> known;
  for (int i = 0; i <= static_cast<int>(Clipping::kMse); ++i) {
    known.emplace_back(clipping_name(static_cast<Clipping>(i)));
    if (name == known.back()) return static_cast<Clipping>(i);
  }
  refuse_option("--qe-clip-acts", "is '" + name + "', allowed " + list_names(known),
                "name one of these");
}

std::optional<int> bits_or_float(int bits) {
  return bits == 0 ? std::nullopt : std::optional(bits);
}

// The names of those that are given.
std::vector<std::string> given(std::initializer_list<std::pair<bool, const char*>> options) {
  std::vector<std::string> names;
  for (const auto& [is_given, name] : options) {
    if (is_given) names.emplace_back(name);
  }
  return names;
}

void check_sources(const PtqRequest& r) {
  const auto sources = given({{!r.stats_file.empty(), "--qe-stats-file"},
                              {r.dynamic, "--qe-dynamic"},
                              {r.calibration.fraction.has_value(), "--qe-calibration"},
                              {!r.config_file.empty(), "--qe-config-file"}});
  if (sources.size() > 1)
    refuse_option(list_names(sources), "exclude each other",
                  "keep one: where ranges come from is one of them");
}

// Of all options together, wherever they come from.
void check_calibration(const PtqRequest& r, const PtqOptions& options) {
  const auto calibrates = given({{!r.calibration.data.empty(), "--calibration-data"},
                                 {r.calibration.fraction.has_value(), "--qe-calibration"},
                                 {!r.stats_out.empty(), "--stats-out"}});
  if (calibrates.empty() || (!options.dynamic && options.statistics_file.empty())) return;
  const std::string by =
      r.config_file.empty()
          ? options.dynamic ? "--qe-dynamic" : "--qe-stats-file"
          : r.config_file + (options.dynamic ? "'s dynamic" : "'s model_activation_stats");
  refuse_option(list_names(calibrates), "is given, but ranges are not measured here",
                "leave it out, or " + by);
}

// Options that would change nothing. Releases pass them over, as they did.
void check_effect(const PtqOptions& options) {
  const auto stated = [&](const auto& states) {
    return std::any_of(options.overrides.begin(), options.overrides.end(),
                       [&](const PatternOverride& entry) { return states(entry.settings); });
  };
  const bool clips_layers =
      options.clip_acts != Clipping::kNone || stated([](const ModuleOverride& o) {
        return o.clip_acts.value_or(Clipping::kNone) != Clipping::kNone;
      });
  if (!options.no_clip_layers.empty() && !clips_layers)
    refuse_option("--qe-no-clip-layers", "is given, but nothing is clipped",
                  "add --qe-clip-acts, or leave it out");
  const bool codes = options.bits_activations || stated([](const ModuleOverride& o) {
                       return o.bits_activations && *o.bits_activations;
                     });
  if (codes) return;
  const auto useless =
      given({{options.clip_acts != Clipping::kNone, "--qe-clip-acts"},
             {options.scale_approx_bits.has_value(), "--qe-scale-approx-bits"},
             {!options.no_quant_layers.empty() && !options.bits_weights, "--qe-no-quant-layers"}});
  if (!useless.empty())
    refuse_option(list_names(useless), "is given, but activations are left in float",
                  "leave it out, or give --qe-bits-acts");
}

void check_percentile(const PtqOptions& options) {
  check_percent("--qe-percentile", options.percentile, "99.99 is usual");
  if (!clips(options, [](Clipping clip) { return clip == Clipping::kPercentile; }))
    refuse_option("--qe-percentile", "is given, but activations are not clipped by percentile",
                  "add --qe-clip-acts percentile");
}

PtqOptions stated_options(const PtqRequest& r) {
  PtqOptions options;
  if (r.mode) options.mode_activations = options.mode_weights = mode_named(*r.mode, "--qe-mode");
  if (r.mode_acts) options.mode_activations = mode_named(*r.mode_acts, "--qe-mode-acts");
  if (r.mode_wts) options.mode_weights = mode_named(*r.mode_wts, "--qe-mode-wts");
  if (r.bits_acts) options.bits_activations = bits_or_float(*r.bits_acts);
  if (r.bits_wts) options.bits_weights = bits_or_float(*r.bits_wts);
  if (r.bits_accum) options.bits_accum = *r.bits_accum;
  if (r.clip_acts) options.clip_acts = clipping_named(*r.clip_acts);
  if (r.clip_n_stds) {
    if (!(*r.clip_n_stds > 0))
      refuse_option("--qe-clip-n-stds", fmt::format("is {}, allowed above 0", *r.clip_n_stds),
                    "2.5 is usual");
    options.clip_n_stds = *r.clip_n_stds;
  }
  options.no_clip_layers = r.no_clip_layers;
  options.no_quant_layers = r.no_quant_layers;
  options.per_channel = r.per_channel;
  options.save_fp_weights = r.save_fp_weights;
  options.scale_approx_bits = r.scale_approx_bits;
  options.statistics_file = r.stats_file;
  options.dynamic = r.dynamic;
  return options;
}

}  // namespace

std::vector<std::string> PtqRequest::formats() const {
  return given({{mode.has_value(), "--qe-mode"},
                {mode_acts.has_value(), "--qe-mode-acts"},
                {mode_wts.has_value(), "--qe-mode-wts"},
                {bits_acts.has_value(), "--qe-bits-acts"},
                {bits_wts.has_value(), "--qe-bits-wts"},
                {bits_accum.has_value(), "--qe-bits-accum"},
                {!no_clip_layers.empty(), "--qe-no-clip-layers"},
                {!no_quant_layers.empty(), "--qe-no-quant-layers"},
                {per_channel, "--qe-per-channel"},
                {save_fp_weights, "--qe-save-fp-weights"},
                {scale_approx_bits.has_value(), "--qe-scale-approx-bits"}});
}

std::vector<std::string> PtqRequest::settings() const {
  std::vector<std::string> all = formats();
  if (clip_acts) all.emplace_back("--qe-clip-acts");
  if (clip_n_stds) all.emplace_back("--qe-clip-n-stds");
  return all;
}

PtqOptions ptq_options(const PtqRequest& r) {
  check_sources(r);
  if (!r.config_file.empty() && !r.settings().empty())
    refuse_option("--qe-config-file", "is given beside " + list_names(r.settings()),
                  "state them in the file");
  PtqOptions options = r.config_file.empty() ? stated_options(r) : load_ptq_config(r.config_file);
  check(options, r.config_file);
  check_calibration(r, options);
  if (r.percentile) {
    options.percentile = *r.percentile;
    check_percentile(options);
  }
  if (compat_of(r.compat) == Compat::kNone) check_effect(options);
  return options;
}

std::string matched_text(const MatchedStatistics& matched, const std::string& file) {
  const auto pairs = [](const auto& all, const char* between) {
    std::string text;
    for (const auto& [first, second] : all)
      text += (text.empty() ? "" : ", ") + first + between + second;
    return text;
  };
  std::string text;
  if (!matched.renamed.empty())
    text += fmt::format("Layers of other names in {}, found by the numbers of their inputs: {}\n",
                        file, pairs(matched.renamed, " is "));
  if (!matched.folded.empty())
    text += fmt::format("Folded into the layer before, by the numbers of their inputs: {}\n",
                        pairs(matched.folded, " into "));
  if (!matched.unused.empty())
    text += fmt::format("Entries that belong to no layer: {}\n", list_names(matched.unused));
  return text;
}

}  // namespace widthwise
