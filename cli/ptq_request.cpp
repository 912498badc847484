#include "cli/ptq_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/refuse_option.h"
#include "core/files.h"
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
class EffectCheck {
 public:
  EffectCheck(const PtqRequest& request, const PtqOptions& options)
      : request_(request), options_(options) {}

  void run() const {
    const bool codes = quantizes_activations(options_), weights = quantizes_weights(options_);
    if (!options_.no_clip_layers.empty() && !clips(options_, is_clipping))
      refuse({name("--qe-no-clip-layers", "no_clip_layers")}, "nothing is clipped",
             "add " + name("--qe-clip-acts", "clip_acts") + ", or leave it out");
    if (options_.clip_half_range && !clips(options_, is_aciq))
      refuse({"clip_half_range"}, "clip_acts is neither GAUSS nor LAPLACE, which have one",
             "leave it out");
    const PtqRequest& r = request_;
    if (!codes && !weights)
      throw InputError({.file = r.config_file,
                        .where = "",
                        .field = name("--qe-bits-acts", "bits_activations") + ", " +
                                 name("--qe-bits-wts", "bits_parameters"),
                        .problem = "leave activations and weights in float: nothing is quantized",
                        .fix = "give one of them bits"});
    if (!codes)
      refuse(given({{options_.clip_acts != Clipping::kNone, "--qe-clip-acts", "clip_acts"},
                    {options_.scale_approx_bits.has_value(), "--qe-scale-approx-bits",
                     "scale_approx_mult_bits"},
                    {r.mode_acts.has_value(), "--qe-mode-acts", ""}}),
             "activations are left in float",
             "leave it out, or give " + name("--qe-bits-acts", "bits_activations"));
    if (!weights)
      refuse(given({{options_.per_channel, "--qe-per-channel", "per_channel_wts"},
                    {options_.bits_accum != 32 || r.bits_accum, "--qe-bits-accum", "bits_accum"},
                    {r.mode_wts.has_value(), "--qe-mode-wts", ""}}),
             "weights are left in float",
             "leave it out, or give " + name("--qe-bits-wts", "bits_parameters"));
    if (r.mode && (r.mode_acts || !codes) && (r.mode_wts || !weights))
      refuse({"--qe-mode"}, "others state the modes of all that is quantized", "leave it out");
  }

 private:
  struct Setting {
    bool is_given;
    const char *option, *key;
  };

  std::string name(const char* option, const char* key) const {
    return setting_name(request_.config_file, option, key);
  }
  std::vector<std::string> given(const std::vector<Setting>& settings) const {
    std::vector<std::string> names;
    for (const Setting& setting : settings) {
      if (setting.is_given) names.push_back(name(setting.option, setting.key));
    }
    return names;
  }
  void refuse(const std::vector<std::string>& names, const std::string& why,
              const std::string& fix) const {
    if (names.empty()) return;
    throw InputError({.file = request_.config_file,
                      .where = "",
                      .field = list_names(names),
                      .problem = "is given, but " + why,
                      .fix = fix});
  }

  const PtqRequest& request_;
  const PtqOptions& options_;
};

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
  if (r.percentile) options.percentile = *r.percentile;
  options.no_clip_layers = r.no_clip_layers;
  options.no_quant_layers = r.no_quant_layers;
  options.per_channel = r.per_channel;
  options.save_fp_weights = r.save_fp_weights;
  options.scale_approx_bits = r.scale_approx_bits;
  options.statistics_file = r.stats_file;
  options.dynamic = r.dynamic;
  return options;
}

// A heading and what it lists, in lines that a terminal holds. Empty: nothing is listed.
std::string paragraph(const std::string& heading, const std::vector<std::string>& entries) {
  constexpr size_t kColumns = 100;
  if (entries.empty()) return "";
  std::string text = heading + "\n", line;
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string entry = fmt::format(" {}{}", entries[i], i + 1 < entries.size() ? "," : "");
    if (!line.empty() && 1 + line.size() + entry.size() > kColumns) {
      text += fmt::format(" {}\n", line);
      line.clear();
    }
    line += entry;
  }
  return text + fmt::format(" {}\n", line);
}

// What v0.3.2 of Distiller does not have.
void check_release(const PtqRequest& r, const PtqOptions& options) {
  const auto refuse = [&](const std::string& what) {
    throw InputError({.file = r.config_file,
                      .where = "",
                      .field = "--compat distiller-0.3",
                      .problem = "is given, but that release has no " + what,
                      .fix = "leave it out, or take --compat distiller-0.4"});
  };
  std::vector<QuantizationModes> modes = {{options.mode_activations, options.mode_weights}};
  for (const PatternOverride& entry : options.overrides) {
    if (entry.settings.mode) modes.push_back(*entry.settings.mode);
  }
  for (const QuantizationModes& m : modes) {
    if (m.activations != m.weights) refuse("mode of its own for weights");
    if (m.activations == QuantizationMode::kSymmetricRestricted) refuse("sym_restr");
  }
  if (clips(options, [](Clipping clip) { return clip > Clipping::kNStd; }))
    refuse("clipping beyond none, avg and n_std");
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
  if (percentile) all.emplace_back("--qe-percentile");
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
  const Compat compat = compat_of(r.compat);
  if (compat == Compat::kNone) EffectCheck(r, options).run();
  if (compat == Compat::kDistiller03) check_release(r, options);
  return options;
}

std::string write_config(const PtqRequest& r, PtqOptions options, std::vector<std::string> beside) {
  if (r.config_out.empty()) return "";
  if (compat_of(r.compat) != Compat::kNone) beside.push_back("--compat " + r.compat);
  if (!r.stats_out.empty()) {
    options.statistics_file = r.stats_out.string();
  } else if (!r.calibration.data.empty()) {
    const CalibrationData& c = r.calibration;
    beside.push_back("--calibration-data " + c.data);
    if (!c.labels.empty()) beside.push_back("--calibration-labels " + c.labels);
    if (c.subset) beside.push_back("--calibration-subset " + *c.subset);
    if (c.images) beside.push_back(fmt::format("--calibration-images {}", *c.images));
  }
  const std::string text = fmt::to_string(fmt::join(beside, " "));
  write_file(r.config_out, ptq_config_yaml(options, text));
  return text.empty() ? ""
                      : fmt::format("{} goes with {}, which it has no keys for\n",
                                    r.config_out.string(), text);
}

std::string matched_text(const MatchedStatistics& matched, const std::string& file) {
  const auto pairs = [](const auto& all, const char* between) {
    std::vector<std::string> texts;
    for (const auto& [first, second] : all) texts.push_back(first + between + second);
    return texts;
  };
  return paragraph("Layers of other names in " + file + ", found by the numbers of their inputs:",
                   pairs(matched.renamed, " is ")) +
         paragraph("Folded into the layer before, by the numbers of their inputs:",
                   pairs(matched.folded, " into ")) +
         paragraph("Entries that belong to no layer:", matched.unused) +
         paragraph(
             "Inputs whose records are not those of the layers that wrote them, as of another "
             "network:",
             matched.conflicts);
}

}  // namespace widthwise
