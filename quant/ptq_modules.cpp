#include "quant/ptq_modules.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace widthwise {
namespace {

class ModuleResolution {
 public:
  ModuleResolution(const PtqOptions& options, const ModuleNetwork& network, Compat compat,
                   const std::string& file)
      : options_(options), modules_(network), compat_(compat), file_(file) {}

  ResolvedSettings run() {
    std::vector<Module> modules;
    for (size_t i = 0; i < layers().size(); ++i)
      modules.push_back({modules_.modules[i], module_type(layers()[i])});
    resolved_ = resolve(options_, modules, compat_, file_);
    for (size_t i = 0; i < layers().size(); ++i) {
      resolved_.modules[i].only_moves = moves_one_tensor(layers()[i]);
      if (runs_in_float(i)) resolved_.modules[i].settings.bits_activations.reset();
    }
    if (compat_ != Compat::kNone) return std::move(resolved_);
    for (size_t i = 0; i < layers().size(); ++i) check_inputs(i);
    join_relus();
    for (const PatternOverride& entry : options_.overrides)
      check_effect(entry.pattern, &ResolvedModule::matched, "overrides." + entry.pattern,
                   entry.line);
    check_list(options_.no_quant_layers, &ResolvedModule::no_quant,
               setting_name(file_, "--qe-no-quant-layers", "no_quant_layers"));
    check_list(options_.no_clip_layers, &ResolvedModule::no_clip,
               setting_name(file_, "--qe-no-clip-layers", "no_clip_layers"));
    check_rest();
    return std::move(resolved_);
  }

 private:
  const std::vector<FloatLayer>& layers() const { return modules_.network.layers; }
  const ModuleSettings& settings(size_t i) const { return resolved_.modules[i].settings; }

  // `line` of the file; 0: none.
  [[noreturn]] void refuse(int line, const std::string& field, const std::string& problem,
                           const std::string& fix) const {
    throw InputError({.file = file_,
                      .where = line == 0 ? "" : fmt::format("line {}", line),
                      .field = field,
                      .problem = problem,
                      .fix = fix});
  }
  [[noreturn]] void refuse(const PatternOverride* entry, const std::string& field,
                           const std::string& problem, const std::string& fix) const {
    refuse(entry == nullptr ? 0 : entry->line,
           (entry == nullptr ? "" : "overrides." + entry->pattern) + field, problem, fix);
  }
  const PatternOverride* entry_of(size_t i) const {
    const auto found = std::find_if(
        options_.overrides.begin(), options_.overrides.end(),
        [&](const PatternOverride& one) { return one.pattern == resolved_.modules[i].matched; });
    return found == options_.overrides.end() ? nullptr : &*found;
  }

  bool runs_in_float(size_t i) const {
    const FloatLayer& layer = layers()[i];
    if (moves_one_tensor(layer)) return true;
    if (combines(layer)) {
      if (!options_.dynamic) return false;
      if (compat_ == Compat::kNone && resolved_.modules[i].stated.bits_activations.has_value() &&
          settings(i).bits_activations)
        refuse(entry_of(i), ".bits_activations",
               fmt::format("is given for '{}', a sum or a join, which runs in float where ranges "
                           "are dynamic",
                           modules_.modules[i]),
               "leave it out, or take static ranges");
      return true;
    }
    return compat_ == Compat::kDistiller03 && !has_weights(layer);
  }

  void check_inputs(size_t i) const {
    for (const auto& [index, input] : settings(i).inputs) {
      const auto inputs = std::ssize(layers()[i].inputs);
      if (index >= inputs)
        refuse(entry_of(i), fmt::format(".input_overrides.{}", index),
               fmt::format("is given, but '{}' has {} inputs, numbered from 0", modules_.modules[i],
                           inputs),
               "correct the number");
    }
  }

  // A ReLU that alone reads a quantized product, sum or join.
  void join_relus() {
    const auto all_readers = readers_of(modules_.network);
    for (size_t i = 0; i < layers().size(); ++i) {
      const FloatLayer& writer = layers()[i];
      const auto& readers = all_readers[static_cast<size_t>(writer.output)];
      const bool quantized =
          (has_weights(writer) || combines(writer)) && settings(i).bits_activations;
      if (quantized && readers.size() == 1 && readers[0] < layers().size() &&
          is_relu(layers()[readers[0]]))
        resolved_.modules[readers[0]].joins = modules_.modules[i];
    }
  }

  void check_effect(const std::string& pattern, std::optional<std::string> ResolvedModule::*by,
                    const std::string& field, int line) const {
    std::vector<std::string> others;
    for (size_t i = 0; i < layers().size(); ++i) {
      const ResolvedModule& module = resolved_.modules[i];
      if (module.*by != pattern) continue;
      if (!module.joins && !runs_in_float(i)) return;
      others.push_back(module.module.name + (module.joins        ? " joins " + *module.joins
                                             : module.only_moves ? " moves data"
                                                                 : " runs in float here"));
    }
    if (others.empty()) return;
    refuse(line, field, "decides about nothing that has settings of its own: " + list_names(others),
           "leave it out, or state it of the layers before them");
  }
  void check_list(const std::vector<std::string>& patterns,
                  std::optional<std::string> ResolvedModule::*by, const std::string& name) const {
    for (const std::string& pattern : patterns)
      check_effect(pattern, by, fmt::format("{} '{}'", name, pattern), 0);
  }

  // What the exclusions leave.
  void check_rest() const {
    bool quantized = false, clipped = false;
    for (const ResolvedModule& module : resolved_.modules) {
      const ModuleSettings& s = module.settings;
      if (module.joins || module.only_moves) continue;
      quantized |= s.bits_activations || (has_weights(module.module.type) && s.bits_weights);
      clipped |= s.bits_activations && s.clips(is_clipping);
    }
    if (!quantized)
      refuse(0, "bits", "are none of any layer, so that nothing is quantized",
             "give some layers bits");
    if (!options_.no_clip_layers.empty() && !clipped)
      refuse(0, setting_name(file_, "--qe-no-clip-layers", "no_clip_layers"),
             "leaves nothing that is clipped", "leave it and the clipping out");
  }

  const PtqOptions& options_;
  const ModuleNetwork& modules_;
  const Compat compat_;
  const std::string& file_;
  ResolvedSettings resolved_;
};

}  // namespace

ResolvedSettings resolve_modules(const PtqOptions& options, const ModuleNetwork& network,
                                 Compat compat, const std::string& file) {
  return ModuleResolution(options, network, compat, file).run();
}

}  // namespace widthwise
