#include "reports/demo_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace widthwise {
namespace {

std::string number(const Json& value, const char* format) {
  return fmt::format(fmt::runtime(format), value.get<double>());
}

}  // namespace

std::string cost_tables_text(const Json& cost) {
  std::string all;
  for (const Json& table : cost["tables"]) {
    all += (all.empty() ? "" : "; ") + text(table["name"]) + ", " + text(table["technology"]);
  }
  return all;
}

TextTable accuracy_table(const Json& result) {
  TextTable table(
      {"arithmetic", "accumulator", "top-1 %", "top-5 %", "loss", "same class as FP32 %"});
  const auto row = [&](const std::string& name, const std::string& accumulator, const Json& run) {
    table.add({name, accumulator, number(run["top1_percent"], "{:.2f}"),
               number(run["top5_percent"], "{:.2f}"), number(run["mean_loss"], "{:.4f}"),
               number(run["agree_percent"], "{:.2f}")});
  };
  row("FP32", "float", result["float"]);
  for (const Json& precision : result["precisions"]) {
    row(text(precision["name"]), "exact", precision["exact"]);
    row(text(precision["name"]), accumulation_text(precision), precision["described"]);
  }
  return table;
}

TextTable width_table(const Json& precision) {
  TextTable table({"bits", "wrap top-1 %", "saturate top-1 %", "most hit layer %", "overflow"});
  for (const Json& width : precision["widths"]) {
    table.add({integer(width["bits"]), number(width["wrap_top1_percent"], "{:.2f}"),
               number(width["saturate_top1_percent"], "{:.2f}"),
               percent_text(width["most_hit_percent"].get<double>()),
               width["run"].get<bool>() ? "yes" : "none seen: exact"});
  }
  return table;
}

TextTable energy_table(const Json& cost) {
  TextTable table({"arithmetic", "array", "compute uJ", "SRAM uJ", "DRAM uJ", "total uJ",
                   "compute saving", "total saving", "array um2", "area saving", "cycles"});
  for (const Json& row : cost["arithmetics"]) {
    const Json& energy = row["energy_uj"];
    table.add({text(row["name"]), text(row["array"]), number(energy["compute"], "{:.3f}"),
               number(energy["sram"], "{:.3f}"), number(energy["dram"], "{:.3f}"),
               number(energy["total"], "{:.3f}"), number(row["compute_saving"], "{:.1f}x"),
               number(row["energy_saving"], "{:.1f}x"), number(row["area_um2"], "{:.0f}"),
               number(row["area_saving"], "{:.1f}x"), integer(row["cycles"])});
  }
  return table;
}

TextTable ratio_table(const Json& cost) {
  const Json& ratios = cost["reference_ratios"];
  TextTable table({"INT8 against FP32", "energy saving", "area saving"});
  table.add(
      {"add", number(ratios["add_energy"], "{:.1f}x"), number(ratios["add_area"], "{:.1f}x")});
  table.add({"multiply", number(ratios["multiply_energy"], "{:.1f}x"),
             number(ratios["multiply_area"], "{:.1f}x")});
  return table;
}

TextTable cosim_table(const Json& result) {
  TextTable table({"array", "stimulus", "outputs compared", "MACs", "overflowing additions",
                   "cycles RTL", "cycles model", "verdict"});
  for (const Json& run : result["cosim"]) {
    table.add({text(run["array"]), text(run["stimulus"]), integer(run["outputs_compared"]),
               integer(run["macs_compared"]), integer(run["overflowing_additions"]),
               integer(run["cycles_measured"]), integer(run["cycles_expected"]),
               text(run["verdict"])});
  }
  return table;
}

std::string quantization_text(const Json& precision) {
  return fmt::format("{}: weights {}, activations {}, ranges {}, rounding {}{}",
                     text(precision["name"]), text(precision["weight_scales"]),
                     text(precision["activations"]), text(precision["ranges"]),
                     text(precision["rounding"]),
                     precision["bias_correction"].get<bool>() ? ", biases corrected" : "");
}

std::string demo_text(const Json& result) {
  const Json& network = result["network"];
  std::string out = fmt::format(
      "{}: {} parameters, {} MACs per image; {} test images of {}, calibrated on {} training "
      "images\n",
      text(network["name"]), network["parameters"].get<int64_t>(), network["macs"].get<int64_t>(),
      result["data"]["test_images"].get<int64_t>(), text(result["data"]["name"]),
      result["data"]["calibration_images"].get<int64_t>());
  const auto section = [&](const std::string& title, const TextTable& table) {
    out += "\n" + title + "\n" + table.text();
  };
  section("Accuracy", accuracy_table(result));
  for (const Json& precision : result["precisions"])
    out += "  " + quantization_text(precision) + "\n";
  for (const Json& precision : result["precisions"]) {
    const std::string name = text(precision["name"]);
    section(
        name + ": accumulator bits that each layer needs (" + accumulation_text(precision) + ")",
        bound_table(precision));
    out += std::string("  ") + kOverflowThere + "\n";
    section(name + ": " + kOverflowTable, overflow_table(precision));
    section(name + ": accuracy at each accumulator width", width_table(precision));
  }
  section("Energy per image and area of the array's arithmetic (" +
              cost_tables_text(result["cost"]) + ")",
          energy_table(result["cost"]));
  out += std::string("  ") + kNotCounted + "\n";
  section("The table's reference ratios", ratio_table(result["cost"]));
  out += "\nScaled numbers (not in the table; each with its rule)\n";
  for (const Json& rule : result["cost"]["scaled"]) out += "  " + text(rule) + "\n";
  if (!result["cosim"].empty())
    section("Generated Verilog against the simulator", cosim_table(result));
  return out;
}

}  // namespace widthwise
