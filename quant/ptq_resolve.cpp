#include "quant/ptq_resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "quant/ptq_apply.h"
#include "quant/ptq_match.h"
#include "quant/ptq_resolve_distiller.h"

namespace widthwise {
namespace {

using Strings = std::vector<std::string>;

// Those that begin as the pattern does come first.
Strings nearest_names(const std::vector<Module>& modules, const std::string& pattern) {
  Strings names;
  for (const Module& module : modules) names.push_back(module.name);
  const auto common = [&](const std::string& name) {
    return std::mismatch(name.begin(), name.end(), pattern.begin(), pattern.end()).first -
           name.begin();
  };
  std::stable_sort(names.begin(), names.end(),
                   [&](const auto& a, const auto& b) { return common(a) > common(b); });
  return names;
}

std::vector<NamePattern> named(const Strings& patterns, const char* option) {
  std::vector<NamePattern> result;
  for (const std::string& pattern : patterns)
    result.push_back({pattern, fmt::format("{} '{}'", option, pattern)});
  return result;
}

// Each pattern by itself; nothing that is stated comes to nothing.
class PlainResolution {
 public:
  PlainResolution(const PtqOptions& options, const std::vector<Module>& modules,
                  const std::string& file)
      : options_(options),
        modules_(modules),
        file_(file),
        matcher_(named(options.overrides), Compat::kNone, file) {}

  ResolvedSettings run() {
    std::vector<std::vector<const Module*>> decided(options_.overrides.size());
    for (const Module& module : modules_) {
      ResolvedModule& to = result_.modules.emplace_back(by_options(options_, module));
      if (const auto i = matcher_.decides(module.name)) {
        decided[*i].push_back(&module);
        to.matched = options_.overrides[*i].pattern;
        to.stated = options_.overrides[*i].settings;
      }
      apply(to.stated, options_, Compat::kNone, file_, to);
    }
    for (size_t i = 0; i < decided.size(); ++i) {
      check_matches(matcher_, i, options_.overrides[i].pattern);
      if (decided[i].empty()) result_.without_effect.push_back(options_.overrides[i].pattern);
      check_keys(i, decided[i]);
    }
    exclude(options_.no_quant_layers,
            setting_name(file_, "--qe-no-quant-layers", "no_quant_layers"), "is quantized",
            &ResolvedModule::no_quant, [](ModuleSettings& s) {
              const bool quantized = s.bits_activations || s.bits_weights;
              s.bits_activations = s.bits_weights = std::nullopt;
              return quantized;
            });
    exclude(options_.no_clip_layers, setting_name(file_, "--qe-no-clip-layers", "no_clip_layers"),
            "is clipped", &ResolvedModule::no_clip, [](ModuleSettings& s) {
              const bool clipped = s.bits_activations && s.clips(is_clipping);
              s.clip = {};
              for (auto& [index, input] : s.inputs) input.clip = std::nullopt;
              return clipped;
            });
    return std::move(result_);
  }

 private:
  void check_matches(const PatternMatcher& matcher, size_t i, const std::string& pattern) const {
    for (const Module& module : modules_) {
      if (matcher.matches(i, module.name)) return;
    }
    matcher.refuse(i,
                   "matches no layer; layers are " + some_names(nearest_names(modules_, pattern)),
                   "correct the pattern, which has to match a whole name");
  }

  void check_keys(size_t i, const std::vector<const Module*>& decided) const {
    for (const std::string& key : given_keys(options_.overrides[i].settings)) {
      const auto takes = [&](const Module* m) { return takes_key(m->type, key, Compat::kNone); };
      if (decided.empty() || std::any_of(decided.begin(), decided.end(), takes)) continue;
      const auto& bias = options_.overrides[i].settings.bits_bias;
      if (key == "bits_bias" && !*bias) continue;  // null: as it is
      if (key == "bits_bias")
        matcher_.refuse(i, "is not carried out: a bias has the accumulator's bits",
                        "leave it out, and state bits_accum for all layers", key);
      std::set<std::string> types;
      for (const Module* module : decided) types.insert(module->type);
      matcher_.refuse(i,
                      fmt::format("is taken by no layer that this pattern decides about: {}",
                                  list_names(types)),
                      "leave it out", key);
    }
  }

  // change() says whether it did.
  template <class Change>
  void exclude(const Strings& patterns, const char* list, const std::string& what,
               std::optional<std::string> ResolvedModule::*by, Change change) {
    const PatternMatcher matcher(named(patterns, list), Compat::kNone, file_);
    for (size_t i = 0; i < patterns.size(); ++i) check_matches(matcher, i, patterns[i]);
    std::vector<bool> decides(patterns.size()), changes(patterns.size());
    for (ResolvedModule& module : result_.modules) {
      const auto i = matcher.decides(module.module.name);
      if (!i) continue;
      module.*by = patterns[*i];
      decides[*i] = true;
      if (change(module.settings)) changes[*i] = true;
    }
    for (size_t i = 0; i < patterns.size(); ++i) {
      if (!decides[i]) {
        result_.without_effect.push_back(patterns[i]);
      } else if (!changes[i]) {
        matcher.refuse(i, "decides about nothing that " + what, "leave it out");
      }
    }
  }

  const PtqOptions& options_;
  const std::vector<Module>& modules_;
  const std::string& file_;
  PatternMatcher matcher_;
  ResolvedSettings result_;
};

}  // namespace

std::string module_type(const FloatLayer& layer) {
  static const std::map<std::string, std::string> kTypes = {{"Conv", "Conv2d"},
                                                            {"Gemm", "Linear"},
                                                            {"MatMul", "Linear"},
                                                            {"Add", "EltwiseAdd"},
                                                            {"Relu", "ReLU"},
                                                            {"Clip", "ReLU6"},
                                                            {"AveragePool", "AvgPool2d"},
                                                            {"GlobalAveragePool", "AvgPool2d"},
                                                            {"MaxPool", "MaxPool2d"},
                                                            {"BatchNormalization", "BatchNorm2d"}};
  const auto found = kTypes.find(layer.operator_type);
  return found == kTypes.end() ? layer.operator_type : found->second;
}

bool has_weights(const std::string& type) {
  return type == "Conv2d" || type == "Conv3d" || type == "Linear" || type == "Embedding";
}

std::vector<ModuleSettings> ResolvedSettings::settings() const {
  std::vector<ModuleSettings> all;
  for (const ResolvedModule& module : modules) all.push_back(module.settings);
  return all;
}

ResolvedSettings resolve(const PtqOptions& options, const std::vector<Module>& modules,
                         Compat compat, const std::string& file) {
  check(options, file);
  ResolvedSettings result = compat == Compat::kNone
                                ? PlainResolution(options, modules, file).run()
                                : resolve_as_distiller(options, modules, compat, file);
  for (const ResolvedModule& module : result.modules) {
    check(module, file);
    if (compat == Compat::kNone) check_stated(module, file);
  }
  return result;
}

}  // namespace widthwise
