#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "models/preprocessing_reader.h"
#include "quant/ptq_config_yaml.h"

namespace widthwise {
namespace {

constexpr QuantizationMode kModes[] = {
    QuantizationMode::kSymmetric, QuantizationMode::kSymmetricRestricted,
    QuantizationMode::kAsymmetricUnsigned, QuantizationMode::kAsymmetricSigned};
constexpr Clipping kClippings[] = {Clipping::kNone,  Clipping::kAverage, Clipping::kNStd,
                                   Clipping::kGauss, Clipping::kLaplace, Clipping::kPercentile,
                                   Clipping::kKl,    Clipping::kMse};

// Reads a node into a setting of its type; `field` is the path of keys.
class Reader {
 public:
  explicit Reader(const std::string& file) : parts_(file) {}
  const PreprocessingReader& parts() const { return parts_; }

  void need_map(const YAML::Node& node, const std::string& field, const char* of) const {
    if (!node.IsMap())
      parts_.refuse(node.Mark(), field, fmt::format("must be a map of {}", of), "correct it");
  }

  void read(const YAML::Node& node, const std::string& field, int& to) const {
    const std::string key = field.substr(field.rfind('.') + 1);
    if (key == "fpq_module") {
      to = std::stoi(parts_.one_of(node, field, {"16", "32", "64"}));
    } else {
      const auto [low, high] = bit_limits(key);
      to = static_cast<int>(parts_.integer(node, field, low, high));
    }
  }
  void read(const YAML::Node& node, const std::string& field, bool& to) const {
    if (!node.IsScalar() || !YAML::convert<bool>::decode(node, to))
      parts_.refuse(node.Mark(), field, "must be True or False", "correct it");
  }
  void read(const YAML::Node& node, const std::string& field, double& to) const {
    if (!node.IsScalar() || !YAML::convert<double>::decode(node, to) || !std::isfinite(to))
      parts_.refuse(node.Mark(), field, "must be a finite number", "correct it");
    if (!(to > 0)) parts_.refuse(node.Mark(), field, "must be above 0", "correct it");
  }
  void read(const YAML::Node& node, const std::string& field, std::string& to) const {
    to = parts_.word(node, field);
  }
  void read(const YAML::Node& node, const std::string& field, std::vector<std::string>& to) const {
    if (!node.IsSequence())
      parts_.refuse(node.Mark(), field, "must be a list of patterns", "correct it");
    for (const YAML::Node& entry : node) to.push_back(parts_.word(entry, field));
  }
  void read(const YAML::Node& node, const std::string& field, Clipping& to) const {
    to = one_of(node, field, kClippings, clipping_word);
  }
  void read(const YAML::Node& node, const std::string& field, QuantizationMode& to) const {
    to = one_of(node, field, kModes, mode_word);
  }
  void read(const YAML::Node& node, const std::string& field, QuantizationModes& to) const {
    if (node.IsMap()) {
      parts_.check_keys(node, field, {"activations", "weights"}, 2);
      read(node["activations"], field + ".activations", to.activations);
      read(node["weights"], field + ".weights", to.weights);
    } else {
      read(node, field, to.activations);
      to.weights = to.activations;
    }
  }
  // null is a value of its own for some keys; others are left out with it.
  template <class Value>
  static bool left_out(const YAML::Node& node, const Value&) {
    return node.IsNull() && !std::is_same_v<Value, std::optional<int>> &&
           !std::is_same_v<Value, ModuleOverride::NullableInt>;
  }
  void read(const YAML::Node& node, const std::string& field, std::optional<int>& to) const {
    to.reset();
    if (!node.IsNull()) read(node, field, to.emplace());
  }
  template <class Value>
  void read(const YAML::Node& node, const std::string& field, std::optional<Value>& to) const {
    read(node, field, to.emplace());
  }

  void read(const YAML::Node& node, const std::string& field,
            std::map<int, ModuleOverride::Input>& to) const {
    need_map(node, field, "indices of inputs");
    for (const auto& item : node) {
      const auto index = static_cast<int>(parts_.integer(item.first, field, 0, 1000));
      const std::string place = fmt::format("{}.{}", field, index);
      if (to.contains(index))
        parts_.refuse(item.first.Mark(), place, "is given twice", "keep one of them");
      const YAML::Node& of = item.second;
      need_map(of, place, "from_output, or of bits_activations, mode, clip_acts, clip_n_stds");
      parts_.check_keys(of, place,
                        {"from_output", "bits_activations", "mode", "clip_acts", "clip_n_stds"}, 0);
      ModuleOverride::Input& input = to[index];
      const auto optional = [&](const char* key, auto& member) {
        if (of[key] && !of[key].IsNull()) read(of[key], place + "." + key, member.emplace());
      };
      if (of["from_output"] && !of["from_output"].IsNull())
        read(of["from_output"], place + ".from_output", input.from_output);
      optional("bits_activations", input.bits_activations);
      optional("mode", input.mode);
      optional("clip_acts", input.clip_acts);
      optional("clip_n_stds", input.clip_n_stds);
    }
  }

  void read(const YAML::Node& node, const std::string& field, ModuleOverride& to) const {
    std::vector<std::string> keys;
    visit_keys(to, [&](const char* key, auto&) { keys.emplace_back(key); });
    need_map(node, field, list_names(keys).c_str());
    parts_.check_keys(node, field, keys, 0);
    visit_keys(to, [&](const char* key, auto& member) {
      const YAML::Node value = node[key];
      if (value && !left_out(value, member)) read(value, field + "." + key, member);
    });
  }

  void read(const YAML::Node& node, const std::string& field,
            std::vector<PatternOverride>& to) const {
    need_map(node, field, "patterns and their settings");
    for (const auto& item : node) {
      PatternOverride& entry = to.emplace_back();
      entry.pattern = parts_.word(item.first, field);
      entry.line = item.first.Mark().line + 1;
      const std::string place = field + "." + entry.pattern;
      for (size_t i = 0; i + 1 < to.size(); ++i) {
        if (to[i].pattern == entry.pattern)
          parts_.refuse(item.first.Mark(), place, "is given twice", "keep one of them");
      }
      read(item.second, place, entry.settings);
    }
  }

 private:
  template <class Value, size_t kCount>
  Value one_of(const YAML::Node& node, const std::string& field, const Value (&values)[kCount],
               const char* (*word)(Value)) const {
    std::vector<std::string> words;
    for (const auto value : values) words.emplace_back(word(value));
    const std::string given = parts_.one_of(node, field, words);
    size_t i = 0;
    while (words[i] != given) ++i;
    return values[i];
  }

  PreprocessingReader parts_;
};

PtqOptions read_quantizer(const Reader& reader, const YAML::Node& node, const std::string& field) {
  PtqOptions options;
  QuantizationModes modes;
  std::vector<std::string> keys = {"class"};
  // Twice over the same list: its keys, then its values.
  const auto visit = [&](auto&& each) {
    each("bits_activations", options.bits_activations);
    each("bits_parameters", options.bits_weights);
    each("bits_accum", options.bits_accum);
    each("mode", modes);
    each("clip_acts", options.clip_acts);
    each("clip_n_stds", options.clip_n_stds);
    each("percentile", options.percentile);
    each("clip_half_range", options.clip_half_range);
    each("per_channel_wts", options.per_channel);
    each("model_activation_stats", options.statistics_file);
    each("scale_approx_mult_bits", options.scale_approx_bits);
    each("inputs_quant_auto_fallback", options.inputs_quant_auto_fallback);
    each("fpq_module", options.fpq_module);
    each("save_fp_weights", options.save_fp_weights);
    each("also_clip_weights", options.also_clip_weights);
    each("dynamic", options.dynamic);
    each("no_clip_layers", options.no_clip_layers);
    each("no_quant_layers", options.no_quant_layers);
    each("overrides", options.overrides);
  };
  visit([&](const char* key, auto&) { keys.emplace_back(key); });
  reader.parts().check_keys(node, field, keys, 1);
  visit([&](const std::string& key, auto& member) {
    const YAML::Node value = node[key];
    if (value && !Reader::left_out(value, member)) reader.read(value, field + "." + key, member);
  });
  options.mode_activations = modes.activations;
  options.mode_weights = modes.weights;
  return options;
}

YAML::Node parse(std::string_view yaml, const Reader& reader) {
  try {
    return YAML::Load(std::string(yaml));
  } catch (const YAML::Exception& error) {
    reader.parts().refuse(error.mark, "", "is no YAML: " + error.msg,
                          "correct it; a pattern with special characters goes in quotes");
  }
}

}  // namespace

std::vector<PatternOverride> read_overrides(std::string_view yaml, const std::string& file) {
  const Reader reader(file);
  std::vector<PatternOverride> result;
  reader.read(parse(yaml, reader), "overrides", result);
  return result;
}

PtqOptions read_ptq_config(std::string_view yaml, const std::string& file) {
  constexpr const char* kClass = "PostTrainLinearQuantizer";
  const Reader reader(file);
  const YAML::Node root = parse(yaml, reader);
  reader.need_map(root, "", "sections, such as quantizers");
  std::optional<PtqOptions> found;
  for (const auto& section : root) {
    const std::string name = reader.parts().word(section.first, "");
    if (name == "policies") continue;
    reader.need_map(section.second, name, "components, each with its class");
    for (const auto& component : section.second) {
      const std::string field = name + "." + reader.parts().word(component.first, name);
      reader.need_map(component.second, field, "class and settings");
      const YAML::Node type = component.second["class"];
      if (!type)
        reader.parts().refuse(component.second.Mark(), field + ".class", "is missing",
                              fmt::format("add class: {}", kClass));
      if (reader.parts().word(type, field + ".class") != kClass) continue;
      if (found)
        reader.parts().refuse(component.second.Mark(), field,
                              fmt::format("is a second component of class {}", kClass),
                              "keep one of them");
      found = read_quantizer(reader, component.second, field);
    }
  }
  if (!found)
    reader.parts().refuse(YAML::Mark::null_mark(), "class",
                          fmt::format("{} is of no component", kClass),
                          fmt::format("add a component with class: {}", kClass));
  return *found;
}

PtqOptions load_ptq_config(const std::string& path) {
  return read_ptq_config(read_file(path, "give a configuration file of the quantizer"), path);
}

}  // namespace widthwise
