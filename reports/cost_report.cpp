#include "reports/cost_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "hwmodel/area.h"
#include "hwmodel/cycles.h"
#include "hwmodel/energy.h"

namespace widthwise {
namespace {

constexpr double kPjPerUj = 1e6, kPjPerNj = 1e3;
constexpr int kMacAccumulatorBits[] = {8, 10, 12, 14, 16, 18, 20, 24, 28, 32};

Json action_json(const CountedAction& a) {
  Json json = {
      {"what", a.what}, {"component", a.component}, {"action", a.action}, {"bits", a.bits}};
  if (a.other_bits != 0) json["weight_bits"] = a.other_bits;
  if (a.kib != 0) json["kib"] = a.kib;
  json.update({{"count", a.count},
               {"energy_pj", a.energy_pj},
               {"total_pj", a.total_pj},
               {"scaled", a.scaled},
               {"rule", a.rule},
               {"source", a.source}});
  return json;
}

Json instance_json(const CountedInstance& i) {
  Json json = {{"what", i.what}, {"component", i.component}, {"bits", i.bits}};
  if (i.other_bits != 0) json["weight_bits"] = i.other_bits;
  json.update({{"count", i.count},
               {"area_um2", i.area_um2},
               {"total_um2", i.total_um2},
               {"scaled", i.scaled},
               {"rule", i.rule},
               {"source", i.source}});
  return json;
}

OperandWidths layer_widths(const CostedNetwork& costed, const QuantizedLayer& layer) {
  return {.ifmap_bits = costed.network->tensor(layer.ifmaps[0]).quantization.format.bits,
          .weight_bits = layer.weight_format.bits,
          .accumulator_bits =
              costed.accelerator->datapath.layer_accumulation(layer.name).outermost().bits,
          .ofmap_bits = costed.network->tensor(layer.ofmap).quantization.format.bits};
}

Json arithmetic(const std::string& name, const CostedNetwork& costed, const CostTable& table,
                Arithmetic kind, std::set<std::string>& scaled) {
  const Accelerator& accelerator = *costed.accelerator;
  LayerEnergy total;
  int64_t cycles = 0;
  Json layers = Json::array();
  for (const QuantizedLayer& layer : costed.network->layers) {
    const auto* workload = std::get_if<MatmulWorkload>(&layer.workload);
    if (workload == nullptr) continue;
    const Accumulation& accumulation = accelerator.datapath.layer_accumulation(layer.name);
    const LayerEnergy energy = matmul_energy(*workload, layer_widths(costed, layer), accumulation,
                                             accelerator, table, kind);
    Json actions = Json::array();
    for (const CountedAction& action : energy.actions) {
      if (action.scaled && action.count > 0) scaled.insert(action.rule);
      actions.push_back(action_json(action));
    }
    layers.push_back({{"name", layer.name},
                      {"energy_nj", energy.total_pj() / kPjPerNj},
                      {"compute_nj", energy.compute_pj / kPjPerNj},
                      {"actions", actions}});
    total.compute_pj += energy.compute_pj;
    total.sram_pj += energy.sram_pj;
    total.dram_pj += energy.dram_pj;
    cycles += count_cycles(*workload, accumulation, accelerator).cycles;
  }
  const ArrayArea area = array_area(array_widths(accelerator), accelerator, table, kind);
  Json instances = Json::array();
  for (const CountedInstance& instance : area.instances) {
    if (instance.scaled) scaled.insert(instance.rule);
    instances.push_back(instance_json(instance));
  }
  return {{"name", name},
          {"array", fmt::format("{} x {} PEs of {} lanes", accelerator.array.rows,
                                accelerator.array.cols, accelerator.datapath.accumulation.lanes())},
          {"energy_uj",
           {{"compute", total.compute_pj / kPjPerUj},
            {"sram", total.sram_pj / kPjPerUj},
            {"dram", total.dram_pj / kPjPerUj},
            {"total", total.total_pj() / kPjPerUj}}},
          {"area_um2", area.total_um2},
          {"cycles", cycles},
          {"time_us", static_cast<double>(cycles) / accelerator.clock_mhz},
          {"layers", layers},
          {"instances", instances}};
}

// One multiplier and one accumulator adder, over the accumulator's width.
Json mac_report(const CostedNetwork& costed, const CostTable& table,
                std::set<std::string>& scaled) {
  const OperandWidths widths = array_widths(*costed.accelerator);
  const Cost multiplier =
      table.lookup("multiplier", "multiply", widths.ifmap_bits, widths.weight_bits);
  if (multiplier.scaled) scaled.insert(multiplier.rule);
  Json rows = Json::array();
  for (const int bits : kMacAccumulatorBits) {
    const Cost adder = table.lookup("adder", "add", bits);
    if (adder.scaled) scaled.insert(adder.rule);
    Json row = {{"accumulator_bits", bits},
                {"multiplier_pj", multiplier.energy_pj},
                {"adder_pj", adder.energy_pj}};
    if (multiplier.area && adder.area) {
      row["multiplier_um2"] = multiplier.area->value;
      row["adder_um2"] = adder.area->value;
    }
    rows.push_back(row);
  }
  return {{"name", costed.name}, {"rows", rows}};
}

Json ratios_json(const ReferenceRatios& ratios) {
  return {{"add_energy", ratios.add_energy},
          {"add_area", ratios.add_area},
          {"multiply_energy", ratios.multiply_energy},
          {"multiply_area", ratios.multiply_area}};
}

void set_savings(Json& row, const Json& base) {
  const auto ratio = [](const Json& a, const Json& b) { return a.get<double>() / b.get<double>(); };
  row["compute_saving"] = ratio(base["energy_uj"]["compute"], row["energy_uj"]["compute"]);
  row["energy_saving"] = ratio(base["energy_uj"]["total"], row["energy_uj"]["total"]);
  row["area_saving"] = ratio(base["area_um2"], row["area_um2"]);
}

}  // namespace

Json cost_report(const std::vector<CostedNetwork>& networks) {
  std::set<std::string> scaled;
  Json arithmetics = Json::array(), macs = Json::array(), tables = Json::array(), ratios;
  for (const CostedNetwork& costed : networks) {
    const CostTable table = load_cost_table(costed.accelerator->cost_table);
    const Json described = {
        {"name", table.name()}, {"technology", table.technology()}, {"file", table.file()}};
    if (std::find(tables.begin(), tables.end(), described) == tables.end())
      tables.push_back(described);
    if (ratios.is_null()) ratios = ratios_json(reference_ratios(table));
    // Every saving is against FP32 on the same array and table; equal baselines are shown once.
    Json base = arithmetic("FP32", costed, table, Arithmetic::kFloat32, scaled);
    Json row = arithmetic(costed.name, costed, table, Arithmetic::kInteger, scaled);
    set_savings(base, base);
    set_savings(row, base);
    const auto same = std::find_if(arithmetics.begin(), arithmetics.end(), [&](const Json& other) {
      return other["layers"] == base["layers"] && other["instances"] == base["instances"];
    });
    const bool shown = same != arithmetics.end();
    if (!shown && !arithmetics.empty()) base["name"] = "FP32 on " + costed.accelerator->name;
    row["baseline"] = shown ? (*same)["name"] : base["name"];
    if (!shown) arithmetics.push_back(base);
    arithmetics.push_back(row);
    macs.push_back(mac_report(costed, table, scaled));
  }
  return {{"tables", tables},
          {"reference_ratios", ratios},
          {"arithmetics", arithmetics},
          {"mac", macs},
          {"scaled", scaled}};
}

}  // namespace widthwise
