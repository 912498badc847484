#include "quant/ptq_resolve_distiller.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "quant/ptq_apply.h"
#include "quant/ptq_match.h"

namespace widthwise {
namespace {

using Strings = std::vector<std::string>;

// The overrides with those that the two lists stand for, as an ordered dictionary is updated. A
// layer in both lists is not quantized.
std::vector<PatternOverride> all_overrides(const PtqOptions& options) {
  std::vector<PatternOverride> all = options.overrides;
  const auto update = [&](const std::string& pattern, const ModuleOverride& settings) {
    const auto same = std::find_if(all.begin(), all.end(),
                                   [&](const auto& entry) { return entry.pattern == pattern; });
    if (same == all.end()) {
      all.push_back({pattern, settings});
    } else {
      same->settings = settings;
    }
  };
  ModuleOverride unclipped, unquantized;
  unclipped.clip_acts = Clipping::kNone;
  unquantized.bits_activations.emplace(std::nullopt);
  unquantized.bits_weights.emplace(std::nullopt);
  const Strings& none = options.no_quant_layers;
  for (const std::string& pattern : none) update(pattern, unquantized);
  for (const std::string& pattern : options.no_clip_layers) {
    if (std::find(none.begin(), none.end(), pattern) == none.end()) update(pattern, unclipped);
  }
  return all;
}

// The modules and the containers above them, the network itself included.
std::vector<Module> with_containers(const std::vector<Module>& modules) {
  std::vector<Module> all = modules;
  std::set<std::string> names = {""};
  for (const Module& module : modules) {
    for (size_t dot = module.name.find('.'); dot != std::string::npos;
         dot = module.name.find('.', dot + 1))
      names.insert(module.name.substr(0, dot));
  }
  for (const Module& module : modules) names.erase(module.name);
  for (const std::string& name : names) all.push_back({name, "container"});
  return all;
}

}  // namespace

ResolvedSettings resolve_as_distiller(const PtqOptions& options, const std::vector<Module>& modules,
                                      Compat compat, const std::string& file) {
  const std::vector<PatternOverride> entries = all_overrides(options);
  std::vector<bool> empty, used(entries.size());
  for (const PatternOverride& entry : entries) empty.push_back(entry.settings == ModuleOverride{});
  const PatternMatcher matcher(named(entries), compat, file, empty);
  ResolvedSettings result;
  for (const Module& module : with_containers(modules)) {
    const auto i = matcher.decides(module.name);
    if (i && !module.name.empty()) {
      for (const std::string& key : given_keys(entries[*i].settings)) {
        if (!takes_key(module.type, key, compat))
          matcher.refuse(*i, fmt::format("is not taken by '{}', a {}", module.name, module.type),
                         "write a pattern of only those layers that take it, or leave out the "
                         "compatibility",
                         key);
      }
    }
    if (module.type == "container") continue;
    ResolvedModule& to = result.modules.emplace_back(by_options(options, module));
    if (i) {
      used[*i] = true;
      to.matched = entries[*i].pattern;
      to.stated = entries[*i].settings;
    }
    apply(to.stated, options, compat, file, to);
    const auto listed = [&](const Strings& patterns) {
      return i && std::find(patterns.begin(), patterns.end(), *to.matched) != patterns.end();
    };
    if (listed(options.no_quant_layers)) {
      to.no_quant = to.matched;
    } else if (listed(options.no_clip_layers)) {
      to.no_clip = to.matched;
    }
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!used[i]) result.without_effect.push_back(entries[i].pattern);
  }
  return result;
}

}  // namespace widthwise
