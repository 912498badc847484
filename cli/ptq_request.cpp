#include "cli/ptq_request.h"

#include <fmt/format.h>

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
  const auto calibrates = given(
      {{!r.calibration.data.empty(), "--calibration-data"}, {!r.stats_out.empty(), "--stats-out"}});
  if (!calibrates.empty() && (r.dynamic || !r.stats_file.empty()))
    refuse_option(list_names(calibrates), "is given, but ranges are not measured here",
                  r.dynamic ? "leave it out, or --qe-dynamic" : "leave it out, or --qe-stats-file");
}

}  // namespace

bool PtqRequest::any_quantizer_option() const {
  return states_formats() || clip_acts || clip_n_stds;
}

bool PtqRequest::states_formats() const {
  return mode || mode_acts || mode_wts || bits_acts || bits_wts || bits_accum ||
         !no_clip_layers.empty() || !no_quant_layers.empty() || per_channel || save_fp_weights ||
         scale_approx_bits;
}

PtqOptions ptq_options(const PtqRequest& r) {
  check_sources(r);
  if (!r.config_file.empty()) {
    if (r.any_quantizer_option())
      refuse_option("--qe-config-file", "is given, and options that it holds beside it",
                    "state them in the file");
    PtqOptions options = load_ptq_config(r.config_file);
    check(options, r.config_file);
    return options;
  }
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
  check(options);
  return options;
}

ResolvedSettings resolve_modules(const PtqOptions& options, const ModuleNetwork& network,
                                 Compat compat, const std::string& config_file) {
  std::vector<Module> modules;
  for (size_t i = 0; i < network.modules.size(); ++i)
    modules.push_back({network.modules[i], module_type(network.network.layers[i])});
  ResolvedSettings resolved = resolve(options, modules, compat, config_file);
  for (size_t i = 0; i < network.modules.size(); ++i) {
    if (moves_one_tensor(network.network.layers[i]))
      resolved.modules[i].settings.bits_activations.reset();
  }
  return resolved;
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
