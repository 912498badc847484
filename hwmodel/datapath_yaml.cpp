#include "hwmodel/datapath_yaml.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "hwmodel/mode_names.h"

namespace widthwise {
namespace {

constexpr int kMaxOperandBits = 16;
constexpr int64_t kMaxStageLength = 1 << 20;  // addends

IntegerFormat read_format(const YamlMap& datapath, const std::string& operand) {
  const YamlMap map = datapath.map(operand, {"bits", "signed"});
  return {static_cast<int>(map.integer("bits", 1, kMaxOperandBits)), map.boolean("signed")};
}

template <class Mode>
const NamedMode<Mode>& read_mode(const YamlMap& map, const std::string& key,
                                 const std::vector<NamedMode<Mode>>& modes) {
  YamlMap::Names names;
  for (const auto& mode : modes) names.push_back(mode.name);
  return modes[map.choice(key, names)];
}

// SC_WRAP without saturated bits (SystemC's n_bits) is wrap; no other name can leave them open.
void read_overflow(const YamlMap& map, Stage& chain) {
  const auto& [name, policy] = read_mode(map, "overflow", overflow_names());
  chain.overflow = policy;
  const bool needed = policy == OverflowPolicy::kWrapSaturatedBits, optional = name == "SC_WRAP";
  if (!needed && !optional && map.has("saturated_bits")) {
    map.refuse("saturated_bits", "does not apply to the overflow " + name,
               "remove it, or state overflow: wrap_saturated_bits");
  }
  if (!needed && !map.has("saturated_bits")) return;
  chain.saturated_bits =
      static_cast<int>(map.integer("saturated_bits", optional ? 0 : 1, chain.bits));
  if (chain.saturated_bits > 0) chain.overflow = OverflowPolicy::kWrapSaturatedBits;
}

Stage read_stage(const YamlMap& map, const ArrayConfig& array) {
  const bool tree = map.choice("kind", {"tree", "chain"}) == 0;
  Stage stage;
  stage.kind = tree ? Stage::Kind::kTree : Stage::Kind::kChain;
  map.check(tree ? YamlMap::Names{"kind", "length"}
                 : YamlMap::Names{"kind", "length", "bits", "overflow", "saturated_bits"});
  stage.length = map.integer_or_word("length", 1, kMaxStageLength,
                                     {{"rows", array.rows}, {"all", Stage::kAll}});
  if (tree) return stage;
  stage.bits = static_cast<int>(map.integer("bits", kMinAccumulatorBits, kMaxAccumulatorBits));
  read_overflow(map, stage);
  return stage;
}

// A dot-product PE is one adder tree and one accumulator.
void check_dot_tree(const YamlMap& map, const Accumulation& accumulation) {
  const auto& stages = accumulation.stages;
  const bool fits =
      stages.size() == 1 || (stages.size() == 2 && stages[0].kind == Stage::Kind::kTree);
  if (!fits) {
    map.refuse("stages",
               "do not fit the template dot_tree, allowed [tree T, chain all] or [chain all]",
               "describe one tree and one chain, or take another array.template");
  }
}

// `accumulation` holds what is not stated.
Accumulation read_accumulation(const YamlMap& map, Accumulation accumulation,
                               const ArrayConfig& array) {
  if (map.has("order")) {
    const YamlMap::Names axes = map.texts("order"), known = {"channel", "row", "col"};
    if (axes.size() != known.size()) {
      map.refuse("order",
                 fmt::format("lists {} axes, allowed each of channel, row, col once", axes.size()));
    }
    for (size_t i = 0; i < axes.size(); ++i) {
      const auto found = std::find(known.begin(), known.end(), axes[i]);
      if (found == known.end())
        map.refuse("order", "holds an unknown axis", "known axes: " + list_names(known));
      accumulation.order[i] = static_cast<ReductionAxis>(found - known.begin());
    }
  }
  std::vector<YamlMap> stages;
  if (map.has("stages")) {
    stages = map.maps("stages");
    accumulation.stages.clear();
    for (const YamlMap& stage : stages) accumulation.stages.push_back(read_stage(stage, array));
  }
  if (map.has("bias")) {
    accumulation.bias =
        map.choice("bias", {"preload", "last"}) == 0 ? BiasMode::kPreload : BiasMode::kLast;
  }
  if (const auto problem = accumulation.problem()) {
    const bool whole = problem->stage < 0 || stages.empty();
    (whole ? map : stages[static_cast<size_t>(problem->stage)])
        .refuse(problem->field, problem->problem);
  }
  if (array.array_template == "dot_tree") check_dot_tree(map, accumulation);
  return accumulation;
}

Accumulation read_datapath_accumulation(const YamlMap& datapath, const ArrayConfig& array) {
  const YamlMap map = datapath.map("accumulation", {"order", "stages", "bias"});
  for (const char* key : {"stages", "bias"}) {
    if (!map.has(key)) map.refuse(key, "is missing");
  }
  return read_accumulation(map, {}, array);
}

RequantizeConfig read_requantize(const YamlMap& datapath) {
  using Kind = RequantizeConfig::Kind;
  const YamlMap map = datapath.map("requantize", {"kind", "multiplier_bits", "rounding"});
  RequantizeConfig config;
  config.kind = static_cast<Kind>(
      map.choice("kind", {"float32", "multiplier_shift", "gemmlowp", "power_of_two"}));
  const auto applies = [&](const char* key, bool allowed) {
    if (!allowed && map.has(key)) {
      map.refuse(key,
                 fmt::format("does not apply to the kind {}", requantize_kind_name(config.kind)),
                 "remove it, or take another kind");
    }
    return allowed;
  };
  if (applies("multiplier_bits", config.kind == Kind::kMultiplierShift))
    config.multiplier_bits = static_cast<int>(map.integer("multiplier_bits", 2, 31));
  if (!applies("rounding", config.kind != Kind::kFloat32)) return config;
  if (config.kind != Kind::kGemmlowp) {
    config.rounding = read_mode(map, "rounding", rounding_names()).mode;
  } else if (map.has("rounding")) {  // TFLite's default is double
    config.gemmlowp_rounding = map.choice("rounding", {"double", "single"}) == 0
                                   ? GemmlowpRounding::kDouble
                                   : GemmlowpRounding::kSingle;
  }
  return config;
}

LayerOverride read_override(const YamlMap& map, const Datapath& datapath,
                            const ArrayConfig& array) {
  if (map.keys().empty())
    map.refuse("", "states nothing, allowed ifmap, weight, accumulation", "remove the layer");
  LayerOverride layer;
  const auto bits = [&](const char* operand) -> std::optional<int> {
    if (!map.has(operand)) return std::nullopt;
    return static_cast<int>(map.map(operand, {"bits"}).integer("bits", 1, kMaxOperandBits));
  };
  layer.ifmap_bits = bits("ifmap");
  layer.weight_bits = bits("weight");
  if (!map.has("accumulation")) return layer;
  const YamlMap accumulation = map.map("accumulation", {"order", "stages", "bias"});
  layer.accumulation = read_accumulation(accumulation, datapath.accumulation, array);
  if (array.array_template == "dot_tree" &&
      layer.accumulation->lanes() != datapath.accumulation.lanes()) {
    accumulation.refuse("stages",
                        fmt::format("sum {} products per cycle, the dot_tree PE has {}",
                                    layer.accumulation->lanes(), datapath.accumulation.lanes()),
                        "give the layer the datapath's tree length");
  }
  return layer;
}

}  // namespace

Datapath read_datapath(const YamlMap& top, const ArrayConfig& array) {
  const YamlMap map =
      top.map("datapath", {"ifmap", "weight", "accumulation", "requantize", "layers"});
  Datapath datapath;
  datapath.ifmap = read_format(map, "ifmap");
  datapath.weight = read_format(map, "weight");
  datapath.accumulation = read_datapath_accumulation(map, array);
  datapath.requantize = read_requantize(map);
  if (!map.has("layers")) return datapath;
  const YamlMap layers = map.open_map("layers");
  for (const std::string& name : layers.keys()) {
    const YamlMap layer = layers.map(name, {"ifmap", "weight", "accumulation"});
    datapath.layers[name] = read_override(layer, datapath, array);
  }
  return datapath;
}

IntegerFormat Datapath::layer_ifmap(const std::string& layer) const {
  const auto found = layers.find(layer);
  return {found == layers.end() ? ifmap.bits : found->second.ifmap_bits.value_or(ifmap.bits),
          ifmap.is_signed};
}

IntegerFormat Datapath::layer_weight(const std::string& layer) const {
  const auto found = layers.find(layer);
  return {found == layers.end() ? weight.bits : found->second.weight_bits.value_or(weight.bits),
          weight.is_signed};
}

const Accumulation& Datapath::layer_accumulation(const std::string& layer) const {
  const auto found = layers.find(layer);
  return found != layers.end() && found->second.accumulation ? *found->second.accumulation
                                                             : accumulation;
}

}  // namespace widthwise
