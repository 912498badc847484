#include "quant/ptq_config_yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace widthwise {
namespace {

// Writes a setting of each type as one value.
class Writer {
 public:
  explicit Writer(YAML::Emitter& to) : to_(to) {}

  void value(int number) { to_ << number; }
  void value(bool flag) { to_ << (flag ? "True" : "False"); }
  void value(double number) { to_ << fmt::format("{}", number); }  // shortest that reads back
  void value(const std::string& text) { to_ << text; }
  void value(Clipping clipping) { to_ << clipping_word(clipping); }
  void value(QuantizationMode mode) { to_ << mode_word(mode); }
  void value(const QuantizationModes& modes) {
    if (modes.activations == modes.weights) return value(modes.activations);
    to_ << YAML::Flow << YAML::BeginMap;
    item("activations", modes.activations);
    item("weights", modes.weights);
    to_ << YAML::EndMap;
  }
  void value(const std::vector<std::string>& texts) { to_ << YAML::Flow << texts; }
  template <class Value>
  void value(const std::optional<Value>& given) {
    if (given) {
      value(*given);
    } else {
      to_ << YAML::Null;
    }
  }
  void value(const std::map<int, ModuleOverride::Input>& inputs) {
    to_ << YAML::Flow << YAML::BeginMap;
    for (const auto& [index, input] : inputs) {
      to_ << YAML::Key << index << YAML::Value << YAML::Flow << YAML::BeginMap;
      if (input.from_output) item("from_output", true);
      if (input.bits_activations) item("bits_activations", input.bits_activations);
      if (input.mode) item("mode", input.mode);
      if (input.clip_acts) item("clip_acts", input.clip_acts);
      if (input.clip_n_stds) item("clip_n_stds", input.clip_n_stds);
      to_ << YAML::EndMap;
    }
    to_ << YAML::EndMap;
  }
  void value(const ModuleOverride& settings) {
    to_ << YAML::Flow << YAML::BeginMap;
    visit_keys(settings, [&](const char* key, const auto& member) {
      if constexpr (requires { member.has_value(); }) {
        if (member.has_value()) item(key, *member);
      } else {
        if (!member.empty()) item(key, member);
      }
    });
    to_ << YAML::EndMap;
  }

  template <class Value>
  void item(const std::string& key, const Value& of) {
    to_ << YAML::Key << key << YAML::Value;
    value(of);
  }

 private:
  YAML::Emitter& to_;
};

}  // namespace

const char* mode_word(QuantizationMode mode) {
  switch (mode) {
    case QuantizationMode::kSymmetric:
      return "SYMMETRIC";
    case QuantizationMode::kSymmetricRestricted:
      return "SYMMETRIC_RESTRICTED";
    case QuantizationMode::kAsymmetricUnsigned:
      return "ASYMMETRIC_UNSIGNED";
    case QuantizationMode::kAsymmetricSigned:
      return "ASYMMETRIC_SIGNED";
  }
  return "";
}

const char* clipping_word(Clipping clipping) {
  switch (clipping) {
    case Clipping::kNone:
      return "NONE";
    case Clipping::kAverage:
      return "AVG";
    case Clipping::kNStd:
      return "N_STD";
    case Clipping::kGauss:
      return "GAUSS";
    case Clipping::kLaplace:
      return "LAPLACE";
    case Clipping::kPercentile:
      return "PERCENTILE";
    case Clipping::kKl:
      return "KL";
    case Clipping::kMse:
      return "MSE";
  }
  return "";
}

std::string override_yaml(const ModuleOverride& settings) {
  YAML::Emitter yaml;
  Writer(yaml).value(settings);
  return yaml.c_str();
}

std::string ptq_config_yaml(const PtqOptions& options, const std::string& beside) {
  YAML::Emitter yaml;
  Writer writer(yaml);
  yaml << YAML::BeginMap << YAML::Key << "quantizers" << YAML::Value << YAML::BeginMap;
  yaml << YAML::Key << "post_train_quantizer" << YAML::Value << YAML::BeginMap;
  writer.item("class", std::string("PostTrainLinearQuantizer"));
  writer.item("bits_activations", options.bits_activations);
  writer.item("bits_parameters", options.bits_weights);
  writer.item("bits_accum", options.bits_accum);
  writer.item("mode", QuantizationModes{options.mode_activations, options.mode_weights});
  writer.item("clip_acts", options.clip_acts);
  if (options.clip_n_stds != 0) writer.item("clip_n_stds", options.clip_n_stds);
  if (clips(options, [](Clipping clip) { return clip == Clipping::kPercentile; }))
    writer.item("percentile", options.percentile);
  if (options.clip_half_range) writer.item("clip_half_range", true);
  writer.item("per_channel_wts", options.per_channel);
  if (!options.statistics_file.empty())
    writer.item("model_activation_stats", options.statistics_file);
  if (options.scale_approx_bits) writer.item("scale_approx_mult_bits", options.scale_approx_bits);
  writer.item("inputs_quant_auto_fallback", options.inputs_quant_auto_fallback);
  if (options.fpq_module) writer.item("fpq_module", options.fpq_module);
  if (options.save_fp_weights) writer.item("save_fp_weights", true);
  if (options.also_clip_weights) writer.item("also_clip_weights", true);
  if (options.dynamic) writer.item("dynamic", true);
  if (!options.no_clip_layers.empty()) writer.item("no_clip_layers", options.no_clip_layers);
  if (!options.no_quant_layers.empty()) writer.item("no_quant_layers", options.no_quant_layers);
  if (!options.overrides.empty()) {
    yaml << YAML::Key << "overrides" << YAML::Value << YAML::BeginMap;
    for (const PatternOverride& entry : options.overrides)
      writer.item(entry.pattern, entry.settings);
    yaml << YAML::EndMap;
  }
  yaml << YAML::EndMap << YAML::EndMap << YAML::EndMap;
  const std::string comment = beside.empty() ? "" : "# Beside this file: " + beside + "\n";
  return comment + yaml.c_str() + "\n";
}

}  // namespace widthwise
