#include "cli/quantize_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/bench.h"
#include "cli/calibrate.h"
#include "cli/refuse_option.h"

namespace widthwise {
namespace {

constexpr int kLeastBits = 2, kMostBits = 8;

void check_bits(const char* option, std::optional<int> bits, const char* fix) {
  if (bits && (*bits < kLeastBits || *bits > kMostBits))
    refuse_option(option, fmt::format("is {}, allowed {}..{}", *bits, kLeastBits, kMostBits), fix);
}

// Ranges and scales of the preset, where nothing else says what they are.
void apply_preset(const QuantizeRequest& request, PtqOptions& options) {
  const std::string& preset = request.methods.preset;
  if (preset.empty()) return;
  if (preset != "few-bits")
    refuse_option("--preset", "is '" + preset + "', allowed few-bits", "leave it out, or name it");
  if (!request.ptq.config_file.empty()) return;
  if (!request.ptq.clip_acts && quantizes_activations(options)) options.clip_acts = Clipping::kMse;
  if (!request.per_tensor && is_symmetric(options.mode_weights) && quantizes_weights(options))
    options.per_channel = true;
}

void check_sources(const QuantizeRequest& request, const PtqOptions& options) {
  const bool from_file = !options.statistics_file.empty();
  if (options.dynamic)
    refuse_option("--qe-dynamic", "is given, but a written network has fixed ranges",
                  "leave it out, or run it at once: widthwise evaluate --quantize-eval");
  if (from_file && !request.data.empty())
    refuse_option("--data", "is given beside --qe-stats-file, where the ranges come from",
                  "keep one of them");
  if (!from_file && request.data.empty())
    refuse_option("--data", "is missing: ranges are measured on it",
                  "name it, or take statistics: --qe-stats-file");
  const MethodRequest& m = request.methods;
  if (from_file && (m.rounding.value_or("nearest") != "nearest" || m.bias_correction ||
                    m.equalize || !m.preset.empty() || chooses_widths(m)))
    refuse_option(
        "--qe-stats-file",
        "is given, but rounding by error, bias correction, equalization, presets and budgets "
        "need images",
        "give --data in its place");
}

void check_accelerator(const QuantizeRequest& request, const PtqOptions& options) {
  if (request.accelerator.empty()) {
    if (request.symmetric)
      refuse_option("--symmetric", "is given without --accelerator", "state --qe-mode");
    if (request.per_tensor && options.per_channel)
      refuse_option("--per-tensor", "is given, and scales per channel are, too",
                    "keep one of them");
    if (request.per_tensor && request.methods.preset.empty())
      refuse_option("--per-tensor", "is given without --accelerator or --preset",
                    "leave it out: that is how it is");
    return;
  }
  if (!request.ptq.formats().empty() || !request.ptq.config_file.empty())
    refuse_option("--accelerator", "is given beside --qe options, which state bits and modes, too",
                  "keep one of them: an accelerator's layers have bits of their own");
  if (!request.ptq.config_out.empty())
    refuse_option("--qe-config-out", "is given, but an accelerator states the formats",
                  "leave it out, or --accelerator");
  if (chooses_widths(request.methods))
    refuse_option("--accelerator",
                  "is given beside a budget, but its layers have bits of their own",
                  "keep one of them");
}

void check_budget(const QuantizeRequest& request, const PtqOptions& options) {
  const MethodRequest& m = request.methods;
  if (!chooses_widths(m)) {
    if (!m.cost_table.empty())
      refuse_option("--cost-table", "is given without a budget",
                    "add --points-lost or --energy-budget-uj, or leave it out");
    return;
  }
  if (m.points_lost && !(*m.points_lost >= 0 && std::isfinite(*m.points_lost)))
    refuse_option("--points-lost", fmt::format("is {}, allowed from 0", *m.points_lost),
                  "0.5 is usual");
  if (m.energy_budget_uj && !(*m.energy_budget_uj > 0 && std::isfinite(*m.energy_budget_uj)))
    refuse_option("--energy-budget-uj", fmt::format("is {}, allowed above 0", *m.energy_budget_uj),
                  "without it, the table that --points-lost prints says what 8 bits cost");
  const auto states_bits = [](const PatternOverride& entry) {
    return entry.settings.bits_activations.value_or(std::nullopt) ||
           entry.settings.bits_weights.value_or(std::nullopt);
  };
  std::string stated;
  if (request.ptq.bits_acts) stated = "--qe-bits-acts";
  if (request.ptq.bits_wts) stated = "--qe-bits-wts";
  if (m.first_last_bits && end_bits(*m.first_last_bits)) stated = "--first-last-bits";
  if (options.bits_activations != 8 || options.bits_weights != 8 ||
      std::any_of(options.overrides.begin(), options.overrides.end(), states_bits))
    stated = stated.empty() ? "the bits of --qe-config-file" : stated;
  if (!stated.empty())
    refuse_option("--points-lost, --energy-budget-uj",
                  "choose all bits, and " + stated + " states some",
                  "keep one of them; --first-last-bits float goes with a budget");
}

void check_formats(const QuantizeRequest& request, const PtqOptions& options) {
  const MethodRequest& m = request.methods;
  const bool of_file = !request.ptq.config_file.empty();
  check_bits(of_file ? "bits_activations of --qe-config-file" : "--qe-bits-acts",
             options.bits_activations, "a written network has codes of that many, or 0 for float");
  check_bits(of_file ? "bits_parameters of --qe-config-file" : "--qe-bits-wts",
             options.bits_weights, "a written network has codes of that many, or 0 for float");
  check_bits("--elementwise-bits", m.elementwise_bits, "8 is usual");
  if (m.first_last_bits) end_bits(*m.first_last_bits);
  const bool accelerator = !request.accelerator.empty();
  if (!accelerator && options.per_channel && !is_symmetric(options.mode_weights) &&
      request.format == "qcdq")
    refuse_option("--qe-per-channel",
                  "is given with asymmetric weights, whose zero points would differ by channel, "
                  "which ONNX Runtime refuses",
                  "make the weights symmetric, take one scale, or write --format qonnx");
  if (m.signed_activations && (accelerator || !is_symmetric(options.mode_activations)))
    refuse_option("--signed-acts",
                  accelerator ? "is given, but an accelerator states the sign"
                              : "is given, but activations are asymmetric",
                  "leave it out");
}

// Methods for what is left in float.
void check_methods_effect(const MethodRequest& m, const PtqOptions& options) {
  const auto refuse = [](const char* option, const char* what, const char* bits) {
    refuse_option(option, fmt::format("is given, but {} are left in float", what),
                  fmt::format("leave it out, or give {}", bits));
  };
  const auto of_weights = [&](bool given, const char* option) {
    if (given && !quantizes_weights(options)) refuse(option, "weights", "--qe-bits-wts");
  };
  of_weights(m.rounding.has_value(), "--rounding");
  of_weights(m.clip_weights.has_value(), "--qe-clip-wts");
  of_weights(m.bias_correction, "--bias-correction");
  const auto of_activations = [&](bool given, const char* option) {
    if (given && !quantizes_activations(options)) refuse(option, "activations", "--qe-bits-acts");
  };
  of_activations(m.elementwise_bits.has_value(), "--elementwise-bits");
  of_activations(m.signed_activations, "--signed-acts");
}

void check_methods(const QuantizeRequest& request, const PtqOptions& options) {
  const MethodRequest& m = request.methods;
  check_methods_effect(m, options);
  if (m.rounding) weight_rounding(*m.rounding);
  const bool percentile =
      m.clip_weights && weight_clipping(*m.clip_weights) == WeightClipping::kPercentile;
  if (!m.weight_percentile) return;
  if (!percentile)
    refuse_option("--qe-percentile-wts", "is given, but weights are not clipped by percentile",
                  "add --qe-clip-wts percentile");
  if (!(*m.weight_percentile > 0 && *m.weight_percentile <= 100))
    refuse_option("--qe-percentile-wts",
                  fmt::format("is {}, allowed above 0 and up to 100", *m.weight_percentile),
                  "99.9 is usual");
}

}  // namespace

bool chooses_widths(const MethodRequest& request) {
  return request.points_lost || request.energy_budget_uj;
}

std::vector<std::string> method_options(const QuantizeRequest& request) {
  const MethodRequest& m = request.methods;
  std::vector<std::string> all;
  if (request.format != "qcdq") all.push_back("--format " + request.format);
  const auto add = [&](const char* option, const auto& value) {
    if (value) all.push_back(fmt::format("{} {}", option, *value));
  };
  const auto flag = [&](const char* option, bool given) {
    if (given) all.emplace_back(option);
  };
  if (!m.preset.empty()) all.push_back("--preset " + m.preset);
  add("--qe-clip-wts", m.clip_weights);
  add("--qe-percentile-wts", m.weight_percentile);
  add("--rounding", m.rounding);
  flag("--bias-correction", m.bias_correction);
  flag("--equalize", m.equalize);
  add("--first-last-bits", m.first_last_bits);
  add("--elementwise-bits", m.elementwise_bits);
  add("--points-lost", m.points_lost);
  add("--energy-budget-uj", m.energy_budget_uj);
  if (!m.cost_table.empty()) all.push_back("--cost-table " + m.cost_table);
  flag("--signed-acts", m.signed_activations);
  return all;
}

WeightClipping weight_clipping(const std::string& name) {
  if (name == "minmax") return WeightClipping::kMinMax;
  if (name == "mse") return WeightClipping::kMse;
  if (name == "percentile") return WeightClipping::kPercentile;
  refuse_option("--qe-clip-wts", "is '" + name + "', allowed minmax, mse, percentile",
                "name one of these");
}

WeightRounding weight_rounding(const std::string& name) {
  if (name == "nearest") return WeightRounding::kNearest;
  if (name == "gptq") return WeightRounding::kGptq;
  refuse_option("--rounding", "is '" + name + "', allowed nearest, gptq", "name one of these");
}

std::optional<int> end_bits(const std::string& text) {
  if (text == "float") return std::nullopt;
  if (text.size() == 1 && text[0] >= '0' + kLeastBits && text[0] <= '0' + kMostBits)
    return text[0] - '0';
  refuse_option("--first-last-bits", "is '" + text + "', allowed 2..8, float", "name one of these");
}

PtqOptions checked_options(const QuantizeRequest& request) {
  if (request.format != "qcdq" && request.format != "qonnx")
    refuse_option("--format", "is '" + request.format + "', allowed qcdq, qonnx",
                  "qcdq runs in ONNX Runtime; qonnx is for FINN and hls4ml");
  if (compat_of(request.ptq.compat) != Compat::kNone)
    refuse_option("--compat", "is given, but a release's arithmetic has no form as ONNX",
                  "leave it out, or run it at once: widthwise evaluate --quantize-eval");
  PtqOptions options = ptq_options(request.ptq);
  apply_preset(request, options);
  check_sources(request, options);
  check_accelerator(request, options);
  check_budget(request, options);
  check_formats(request, options);
  check_methods(request, options);
  check_files({model_path(request.network).string(), request.data, request.labels,
               request.preprocessing.string(), options.statistics_file, request.ptq.config_file},
              {{"--out", request.out},
               {"--settings-out", request.ptq.settings_out},
               {"--qe-config-out", request.ptq.config_out}});
  if (!request.ptq.config_out.empty() && request.ptq.calibration.fraction)
    refuse_option("--qe-config-out",
                  "is given beside --qe-calibration, which excludes a configuration file",
                  "say how many inputs in its place: --images");
  if (request.out.extension() != ".onnx")
    refuse_option("--out", "is '" + request.out.string() + "', allowed is a name ending in .onnx",
                  "add .onnx");
  return options;
}

}  // namespace widthwise
