#include "quant/ptq_options.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"

namespace widthwise {
namespace {

class Checker {
 public:
  explicit Checker(const std::string& file) : file_(file) {}

  // A setting's name: of an option, or of a key in a file.
  std::string name(const char* option, const char* key) const {
    return setting_name(file_, option, key);
  }

  // Where following fields stand, and what their names begin with.
  void enter(const std::string& where, const std::string& prefix) {
    where_ = where;
    prefix_ = prefix;
  }
  [[noreturn]] void refuse(const std::string& field, const std::string& problem,
                           const std::string& fix) const {
    throw InputError(
        {.file = file_, .where = where_, .field = prefix_ + field, .problem = problem, .fix = fix});
  }
  void bits(const char* key, int value, const char* fix) const { bits(key, key, value, fix); }
  // `key`: as in files.
  void bits(const std::string& field, std::string_view key, int value, const char* fix) const {
    const auto [low, high] = bit_limits(key);
    if (value < low || value > high)
      refuse(field, fmt::format("is {}, allowed {}..{}", value, low, high), fix);
  }
  void n_stds(const std::string& field, double value) const {
    if (!std::isfinite(value) || value <= 0)
      refuse(field, fmt::format("is {}, must be above 0", value), "a usual value is 2 to 4");
  }
  void fpq(const std::string& field, int value) const {
    if (value != 16 && value != 32 && value != 64)
      refuse(field, fmt::format("is {}, allowed 16, 32, 64", value), "32 is the float of the file");
  }

 private:
  const std::string& file_;
  std::string where_, prefix_;
};

constexpr const char* kFloatFix = "give the bits of a code; 0 (null in a file) leaves float";
constexpr const char* kApproximateFix =
    "of 1 bit a multiplier may be 0, and float32 holds up to 23 bits";

void check_override(Checker& check, const PatternOverride& entry) {
  check.enter(entry.line == 0 ? "" : fmt::format("line {}", entry.line),
              "overrides." + entry.pattern + ".");
  const ModuleOverride& o = entry.settings;
  const auto given = [](const ModuleOverride::NullableInt& value) {
    return value.value_or(std::nullopt);
  };
  if (const auto bits = given(o.bits_activations)) check.bits("bits_activations", *bits, kFloatFix);
  if (const auto bits = given(o.bits_weights)) check.bits("bits_weights", *bits, kFloatFix);
  if (const auto bits = given(o.bits_bias)) check.bits("bits_bias", *bits, kFloatFix);
  if (const auto bits = given(o.scale_approx_mult_bits))
    check.bits("scale_approx_mult_bits", *bits, kApproximateFix);
  if (const auto bits = given(o.fpq_module)) check.fpq("fpq_module", *bits);
  if (o.clip_n_stds) check.n_stds("clip_n_stds", *o.clip_n_stds);
  for (const auto& [index, input] : o.input_overrides) {
    const std::string field = fmt::format("input_overrides.{}", index);
    if (input.from_output &&
        (input.bits_activations || input.mode || input.clip_acts || input.clip_n_stds))
      check.refuse(field, "has from_output beside other keys", "keep from_output or the others");
    if (input.bits_activations)
      check.bits(field + ".bits_activations", "bits_activations", *input.bits_activations,
                 "correct it");
    if (input.clip_n_stds) check.n_stds(field + ".clip_n_stds", *input.clip_n_stds);
  }
}

bool states(const PtqOptions& options, ModuleOverride::NullableInt ModuleOverride::*bits) {
  return std::any_of(
      options.overrides.begin(), options.overrides.end(),
      [&](const PatternOverride& entry) { return (entry.settings.*bits).value_or(std::nullopt); });
}

}  // namespace

BitLimits bit_limits(std::string_view key) {
  if (key == "bits_accum") return {2, 32};
  if (key == "bits_bias") return {1, 32};
  if (key == "scale_approx_mult_bits") return {2, 23};
  return {1, 16};
}

bool quantizes_activations(const PtqOptions& options) {
  return options.bits_activations || states(options, &ModuleOverride::bits_activations);
}
bool quantizes_weights(const PtqOptions& options) {
  return options.bits_weights || states(options, &ModuleOverride::bits_weights);
}

std::vector<std::string> given_keys(const ModuleOverride& settings) {
  std::vector<std::string> keys;
  visit_keys(settings, [&](const char* key, const auto& value) {
    if constexpr (requires { value.has_value(); }) {
      if (value.has_value()) keys.emplace_back(key);
    } else {
      if (!value.empty()) keys.emplace_back(key);
    }
  });
  return keys;
}

void check(const PtqOptions& options, const std::string& file) {
  Checker check(file);
  const std::string clip_acts = check.name("--qe-clip-acts", "clip_acts"),
                    clip_n_stds = check.name("--qe-clip-n-stds", "clip_n_stds");
  if (options.bits_activations)
    check.bits(check.name("--qe-bits-acts", "bits_activations"), "bits_activations",
               *options.bits_activations, kFloatFix);
  if (options.bits_weights)
    check.bits(check.name("--qe-bits-wts", "bits_parameters"), "bits_parameters",
               *options.bits_weights, kFloatFix);
  check.bits(check.name("--qe-bits-accum", "bits_accum"), "bits_accum", options.bits_accum,
             "give the accumulator's width");
  if (options.scale_approx_bits)
    check.bits(check.name("--qe-scale-approx-bits", "scale_approx_mult_bits"),
               "scale_approx_mult_bits", *options.scale_approx_bits, kApproximateFix);
  if (options.fpq_module) check.fpq("fpq_module", *options.fpq_module);

  if (is_aciq(options.clip_acts) && options.bits_activations && *options.bits_activations > 8)
    check.refuse(clip_acts,
                 fmt::format("is {} with {} bits, which it knows factors of up to 8 for",
                             clipping_name(options.clip_acts), *options.bits_activations),
                 "take 8 bits, or clip with none, avg or n_std");
  if (options.clip_acts == Clipping::kNStd && options.clip_n_stds == 0)
    check.refuse(clip_n_stds, "is missing, which clipping with n_std takes",
                 "add it; 2.5 is usual");
  if (options.clip_n_stds != 0) {
    check.n_stds(clip_n_stds, options.clip_n_stds);
    if (!clips(options, [](Clipping clip) { return clip == Clipping::kNStd; }))
      check.refuse(clip_n_stds, "is given, but nothing is clipped with n_std",
                   "clip with n_std, or leave it out");
  }
  if (!(options.percentile > 0 && options.percentile <= 100))
    check.refuse(check.name("--qe-percentile", "percentile"),
                 fmt::format("is {}, allowed above 0 and up to 100", options.percentile),
                 "99.99 is usual");
  if (options.percentile != PtqOptions{}.percentile &&
      !clips(options, [](Clipping clip) { return clip == Clipping::kPercentile; }))
    check.refuse(check.name("--qe-percentile", "percentile"),
                 "is given, but activations are not clipped by percentile",
                 "add " + check.name("--qe-clip-acts percentile", "clip_acts: PERCENTILE"));
  if (options.dynamic && !options.statistics_file.empty())
    check.refuse(check.name("--qe-dynamic", "dynamic"),
                 "is given beside " + check.name("--qe-stats-file", "model_activation_stats"),
                 "keep one of them");
  if (options.also_clip_weights)
    check.refuse("also_clip_weights", "is not carried out: weights keep their whole range",
                 "leave it out");
  for (const PatternOverride& entry : options.overrides) check_override(check, entry);
}

}  // namespace widthwise
