#include "quant/ptq_settings_text.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "quant/ptq_config_yaml.h"

namespace widthwise {
namespace {

using Row = std::array<std::string, 11>;
constexpr size_t kFileColumns = 8;  // before the datapath's

std::string bits_text(std::optional<int> bits) { return bits ? fmt::format("{}", *bits) : "float"; }

std::string clip_text(const ClippingChoice& clip) {
  std::string text = clipping_name(clip.clipping);
  if (clip.clipping == Clipping::kPercentile) text += fmt::format(" {}", clip.percentile);
  if (clip.clipping == Clipping::kNStd) text += fmt::format(" {}", clip.n_stds);
  return clip.half_range ? text + " half" : text;
}

std::string inputs_text(const ModuleSettings& s) {
  std::vector<std::string> all;
  for (const auto& [index, input] : s.inputs) {
    std::string text = fmt::format("{}:", index);
    if (input.from_output) text += " as output";
    if (input.bits) text += fmt::format(" {} bits", *input.bits);
    if (input.mode) text += fmt::format(" {}", mode_name(*input.mode));
    if (input.clip) text += fmt::format(" {}", clip_text(*input.clip));
    all.push_back(text);
  }
  if (!s.input_fallback) all.emplace_back("no fallback");
  return all.empty() ? "-" : list_names(all);
}

std::string matched_text(const ResolvedModule& m) {
  std::vector<std::string> all;
  if (m.no_quant) all.push_back("no quant: " + *m.no_quant);
  if (m.no_clip) all.push_back("no clip: " + *m.no_clip);
  if (m.matched && m.matched != m.no_quant && m.matched != m.no_clip)
    all.insert(all.begin(), *m.matched);
  return all.empty() ? "-" : list_names(all);
}

Row row(const ResolvedModule& m) {
  const ModuleSettings& s = m.settings;
  if (m.joins || m.only_moves) {
    Row no_settings;
    no_settings.fill("-");
    no_settings[0] = m.module.name;
    no_settings[1] = m.module.type;
    no_settings[2] = m.joins ? "joins " + *m.joins : "moves data";
    return no_settings;
  }
  const bool weights = has_weights(m.module.type);
  return {m.module.name,
          m.module.type,
          matched_text(m),
          bits_text(s.bits_activations),
          weights ? bits_text(s.bits_weights) : "-",
          weights && s.mode_weights != s.mode_activations
              ? fmt::format("{}/{}", mode_name(s.mode_activations), mode_name(s.mode_weights))
              : mode_name(s.mode_activations),
          s.bits_activations ? clip_text(s.clip) : "-",
          !weights        ? "-"
          : s.per_channel ? "yes"
                          : "no",
          weights ? fmt::format("{}", s.accumulator_bits) : "-",
          s.approximate_bits ? fmt::format("{}", *s.approximate_bits) : "-",
          inputs_text(s)};
}

template <class Value>
void item(YAML::Emitter& yaml, const char* key, const Value& value) {
  yaml << YAML::Key << key << YAML::Value << value;
}
void bits_item(YAML::Emitter& yaml, const char* key, std::optional<int> bits) {
  yaml << YAML::Key << key << YAML::Value;
  if (bits) {
    yaml << *bits;
  } else {
    yaml << YAML::Null;
  }
}

void module_items(YAML::Emitter& yaml, const ResolvedModule& m) {
  const ModuleSettings& s = m.settings;
  if (m.joins) return item(yaml, "joins", *m.joins);
  if (m.only_moves) return item(yaml, "only_moves", true);
  bits_item(yaml, "bits_activations", s.bits_activations);
  bits_item(yaml, "bits_weights", s.bits_weights);
  bits_item(yaml, "bits_bias", m.bits_bias);
  item(yaml, "bits_accum", s.accumulator_bits);
  yaml << YAML::Key << "mode" << YAML::Value << YAML::Flow << YAML::BeginMap;
  item(yaml, "activations", mode_word(s.mode_activations));
  item(yaml, "weights", mode_word(s.mode_weights));
  yaml << YAML::EndMap;
  item(yaml, "clip_acts", clipping_word(s.clip.clipping));
  if (s.clip.clipping == Clipping::kNStd)
    item(yaml, "clip_n_stds", fmt::format("{}", s.clip.n_stds));
  if (s.clip.clipping == Clipping::kPercentile)
    item(yaml, "clip_percentile", fmt::format("{}", s.clip.percentile));
  item(yaml, "clip_half_range", s.clip.half_range);
  item(yaml, "per_channel_wts", s.per_channel);
  bits_item(yaml, "scale_approx_mult_bits", s.approximate_bits);
  item(yaml, "inputs_quant_auto_fallback", s.input_fallback);
  if (!s.inputs.empty()) item(yaml, "input_overrides", inputs_text(s));
  if (m.matched) item(yaml, "matched_by", *m.matched);
  if (m.no_clip) item(yaml, "no_clip_by", *m.no_clip);
  if (m.no_quant) item(yaml, "no_quant_by", *m.no_quant);
}

// One number, or a list with one per output channel.
void scale_items(YAML::Emitter& yaml, const std::string& name, const LinearQuantization& q) {
  const auto list = [&](const char* suffix, float LinearScale::*member) {
    yaml << YAML::Key << name + suffix << YAML::Value;
    if (q.scales.size() == 1) {
      yaml << fmt::format("{}", q.scales[0].*member);
      return;
    }
    yaml << YAML::Flow << YAML::BeginSeq;
    for (const LinearScale& scale : q.scales) yaml << fmt::format("{}", scale.*member);
    yaml << YAML::EndSeq;
  };
  list("_scale", &LinearScale::scale);
  list("_zero_point", &LinearScale::zero_point);
  yaml << YAML::Key << name + "_codes" << YAML::Value << YAML::Flow << YAML::BeginSeq
       << fmt::format("{}", q.codes.q_min) << fmt::format("{}", q.codes.q_max) << YAML::EndSeq;
}

template <class Value, class Text>
void list_item(YAML::Emitter& yaml, const char* key, const std::vector<Value>& values,
               const Text& text) {
  if (values.size() == 1) return item(yaml, key, text(values[0]));
  yaml << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const Value& value : values) yaml << text(value);
  yaml << YAML::EndSeq;
}

void codes_item(YAML::Emitter& yaml, const std::string& key, IntegerFormat format,
                const std::vector<float>& scales, const std::vector<int32_t>& zero_points) {
  yaml << YAML::Key << key << YAML::Value << YAML::BeginMap;
  item(yaml, "format", format.name());
  list_item(yaml, "scale", scales, [](float scale) { return fmt::format("{}", scale); });
  list_item(yaml, "zero_point", zero_points, [](int32_t zero_point) { return zero_point; });
  yaml << YAML::EndMap;
}

void tensor_item(YAML::Emitter& yaml, const std::string& key, const QuantizedTensor& tensor) {
  const TensorQuantization& q = tensor.quantization;
  if (tensor.is_real) return item(yaml, key.c_str(), "float");
  codes_item(yaml, key, q.format, {q.scale}, {q.zero_point});
}

void layer_items(YAML::Emitter& yaml, const QuantizedNetwork& network,
                 const QuantizedLayer& layer) {
  for (size_t i = 0; i < layer.ifmaps.size(); ++i)
    tensor_item(yaml, i == 0 ? "input" : fmt::format("input_{}", i),
                network.tensor(layer.ifmaps[i]));
  const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload);
  if (matmul != nullptr && !matmul->unit_weights) {
    if (layer.weights.empty()) {
      item(yaml, "weights", "float");
    } else {
      codes_item(
          yaml, "weights", layer.weight_format, layer.weight_scales,
          layer.weight_zero_points.empty() ? std::vector<int32_t>{0} : layer.weight_zero_points);
    }
  }
  tensor_item(yaml, "output", network.tensor(layer.ofmap));
}

void module_entries(YAML::Emitter& yaml, const ResolvedSettings& settings) {
  for (const ResolvedModule& module : settings.modules) {
    yaml << YAML::Key << module.module.name << YAML::Value << YAML::BeginMap;
    module_items(yaml, module);
    yaml << YAML::EndMap;
  }
}

}  // namespace

std::string settings_text(const ResolvedSettings& settings, SettingsOf of) {
  std::vector<Row> rows = {{"layer", "type", "matched by", "acts", "wts", "mode", "clip",
                            "per channel", "accum", "approx", "inputs"}};
  for (const ResolvedModule& module : settings.modules) rows.push_back(row(module));
  std::array<size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& cells : rows) {
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  // Of the last columns only those that say something.
  const size_t columns = of == SettingsOf::kFile ? kFileColumns : rows[0].size();
  std::array<bool, std::tuple_size_v<Row>> used{};
  for (size_t i = 0; i < columns; ++i) {
    used[i] = i < kFileColumns || std::any_of(rows.begin() + 1, rows.end(),
                                              [&](const Row& cells) { return cells[i] != "-"; });
  }
  std::string text;
  for (const Row& cells : rows) {
    std::string line;
    for (size_t i = 0; i < columns; ++i) {
      if (used[i]) line += fmt::format("{:<{}}  ", cells[i], widths[i]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  if (!settings.without_effect.empty())
    text += "patterns without effect: " + list_names(settings.without_effect) + "\n";
  return text;
}

std::string settings_yaml(const ResolvedSettings& settings, const DistillerNetwork* network) {
  YAML::Emitter yaml;
  yaml << YAML::BeginMap;
  module_entries(yaml, settings);
  if (network != nullptr) {
    yaml << YAML::Key << "linear_quant_params" << YAML::Value << YAML::BeginMap;
    for (const DistillerLayer& layer : network->layers) {
      if (layer.ofmap) scale_items(yaml, layer.module + ".output", *layer.ofmap);
      if (!layer.weights.codes.empty())
        scale_items(yaml, layer.module + ".w", layer.weights.quantization);
    }
    yaml << YAML::EndMap;
  }
  yaml << YAML::EndMap;
  return std::string(yaml.c_str()) + "\n";
}

std::string settings_yaml(const ResolvedSettings& settings, const QuantizedNetwork& network) {
  YAML::Emitter yaml;
  yaml << YAML::Comment("What was asked for, layer by layer; what was written is under quantized.");
  yaml << YAML::BeginMap;
  module_entries(yaml, settings);
  yaml << YAML::Key << "quantized" << YAML::Value << YAML::BeginMap;
  for (const QuantizedLayer& layer : network.layers) {
    yaml << YAML::Key << layer.name << YAML::Value << YAML::BeginMap;
    layer_items(yaml, network, layer);
    yaml << YAML::EndMap;
  }
  yaml << YAML::EndMap << YAML::EndMap;
  return std::string(yaml.c_str()) + "\n";
}

}  // namespace widthwise
