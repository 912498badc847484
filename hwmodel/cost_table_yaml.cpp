// Reads cost tables; the YAML's keys are explained in hwmodel/tables/horowitz_45nm.yaml.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "hwmodel/cost_table.h"
#include "hwmodel/shipped.h"
#include "hwmodel/yaml_map.h"

namespace widthwise {
namespace {

// What a component can do, and the rules that make sense for it.
struct Component {
  const char *name, *action;
  YamlMap::Names rules;
};
const std::vector<Component> kComponents = {
    {"adder", "add", {"linear_bits", "constant", "none"}},
    {"multiplier", "multiply", {"linear_bit_product", "constant", "none"}},
    {"fp_adder", "add", {"constant", "none"}},
    {"fp_multiplier", "multiply", {"constant", "none"}},
    {"sram", "access", {"log2_kib", "constant", "none"}},
    {"dram", "access", {"none"}},
};

ScalingRule rule_of(const std::string& name) {
  for (const ScalingRule rule : {ScalingRule::kLinearBits, ScalingRule::kLinearBitProduct,
                                 ScalingRule::kLog2Kib, ScalingRule::kConstant}) {
    if (name == scaling_rule_name(rule)) return rule;
  }
  return ScalingRule::kNone;
}

CostRow read_row(const YamlMap& map, const YamlMap& sources) {
  map.check({"component", "action", "bits", "kib", "energy_pj", "area_um2", "scaling", "source",
             "area_source"});
  YamlMap::Names names;
  for (const Component& component : kComponents) names.emplace_back(component.name);
  const Component& component = kComponents[map.choice("component", names)];
  CostRow row;
  row.component = component.name;
  row.action = component.action;
  map.choice("action", {row.action});
  const bool sram = row.component == "sram", memory = sram || row.component == "dram";
  row.bits =
      static_cast<int>(map.integer("bits", memory ? kAccessBits : 1, memory ? kAccessBits : 128));
  if (sram) row.kib = map.positive("kib");
  if (!sram && map.has("kib")) map.refuse("kib", "is allowed for sram only", "remove it");
  std::tie(row.energy_low_pj, row.energy_high_pj) = map.positive_range("energy_pj");
  if (map.has("area_um2")) row.area_um2 = map.positive("area_um2");
  row.scaling = rule_of(component.rules[map.choice("scaling", component.rules)]);
  const auto source = [&](const char* key) {
    const YamlMap::Names known = sources.keys();
    return sources.text(known[map.choice(key, known)]);
  };
  row.source = source("source");
  if (!row.area_um2 && map.has("area_source"))
    map.refuse("area_source", "is given without area_um2", "remove it");
  row.area_source = map.has("area_source") ? source("area_source") : row.source;
  return row;
}

double size_of(const CostRow& row) { return row.component == "sram" ? row.kib : row.bits; }

// What must hold between the rows of one component.
void check_component(const YamlMap& top, const std::vector<CostRow>& rows,
                     const std::string& component) {
  std::vector<const CostRow*> own;
  for (const CostRow& row : rows) {
    if (row.component == component) own.push_back(&row);
  }
  for (size_t i = 1; i < own.size(); ++i) {
    if (own[i]->scaling != own[0]->scaling)
      top.refuse("rows", "state two scaling rules for " + component, "take one of them");
    if (size_of(*own[i]) == size_of(*own[i - 1]))
      top.refuse("rows", fmt::format("state {} of size {} twice", component, size_of(*own[i])),
                 "remove one");
  }
  if (own.empty()) return;
  if (own[0]->scaling == ScalingRule::kConstant && own.size() > 1)
    top.refuse("rows", "state a constant " + component + " more than once", "keep one row");
  if (own[0]->scaling == ScalingRule::kLog2Kib && own.size() < 2)
    top.refuse("rows", "state one sram row, log2_kib needs two", "add a row, or take constant");
}

}  // namespace

CostTable load_cost_table(const std::string& name_or_path) {
  namespace fs = std::filesystem;
  const bool is_path = fs::path(name_or_path).extension() == ".yaml";
  const fs::path path = is_path ? fs::path(name_or_path) : shipped_path("tables", name_or_path);
  const auto names = shipped_names("tables");
  if (!is_path && std::find(names.begin(), names.end(), name_or_path) == names.end()) {
    throw InputError({.file = "",
                      .where = "",
                      .field = "cost table",
                      .problem = "'" + name_or_path + "' is unknown, known: " + list_names(names),
                      .fix = "name one of them, or give the path of a table that ends in .yaml"});
  }
  const YamlMap top =
      YamlMap::load(path, {"technology", "sources", "rows"}, "hwmodel/tables/horowitz_45nm.yaml");
  CostTable table;
  table.file_ = path.string();
  table.name_ = path.stem().string();
  table.technology_ = top.text("technology");
  const YamlMap sources = top.open_map("sources");
  for (const YamlMap& row : top.maps("rows")) table.rows_.push_back(read_row(row, sources));
  if (table.rows_.empty()) top.refuse("rows", "is empty, one row or more is needed");
  std::stable_sort(table.rows_.begin(), table.rows_.end(), [](const CostRow& a, const CostRow& b) {
    return a.component != b.component ? a.component < b.component : size_of(a) < size_of(b);
  });
  for (const Component& component : kComponents) check_component(top, table.rows_, component.name);
  return table;
}

}  // namespace widthwise
