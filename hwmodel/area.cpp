#include "hwmodel/area.h"

#include <algorithm>

#include "core/error.h"
#include "hwmodel/additions.h"

namespace widthwise {

OperandWidths array_widths(const Accelerator& accelerator) {
  const Datapath& datapath = accelerator.datapath;
  OperandWidths widths{datapath.ifmap.bits, datapath.weight.bits,
                       datapath.accumulation.outermost().bits, datapath.ifmap.bits};
  for (const auto& [name, layer] : datapath.layers) {
    widths.ifmap_bits = std::max(widths.ifmap_bits, datapath.layer_ifmap(name).bits);
    widths.weight_bits = std::max(widths.weight_bits, datapath.layer_weight(name).bits);
    widths.accumulator_bits =
        std::max(widths.accumulator_bits, datapath.layer_accumulation(name).outermost().bits);
  }
  widths.ofmap_bits = widths.ifmap_bits;
  return widths;
}

ArrayArea array_area(const OperandWidths& widths, const Accelerator& accelerator,
                     const CostTable& table, Arithmetic arithmetic) {
  if (accelerator.array.array_template == "systolic_ws") {
    throw InputError({.file = accelerator.file,
                      .where = "",
                      .field = "array.template",
                      .problem =
                          "is systolic_ws, whose area is not modelled yet, allowed dot_tree, "
                          "systolic_os",
                      .fix = "describe a dot_tree array, such as edge-int8"});
  }
  const bool real = arithmetic == Arithmetic::kFloat32;
  ArrayArea area;
  const auto keep = [&](const std::string& what, const std::string& component,
                        const std::string& action, int bits, int other_bits, int64_t count) {
    const Cost cost = table.lookup(component, action, bits, other_bits);
    if (!cost.area) {
      throw InputError({.file = table.file(),
                        .where = "",
                        .field = "area_um2",
                        .problem = "of " + component + " is missing, so no array area can be given",
                        .fix = "add it with its source, or take another table"});
    }
    const double total_um2 = static_cast<double>(count) * cost.area->value;
    area.total_um2 += total_um2;
    area.instances.push_back({what, component, bits, other_bits, count, cost.area->value, total_um2,
                              cost.area->scaled, cost.area->rule, cost.area->source});
  };
  const int64_t multipliers = accelerator.multipliers();
  if (real) {
    keep("multiplier", "fp_multiplier", "multiply", 32, 0, multipliers);
    keep("adder", "fp_adder", "add", 32, 0, multipliers);
    return area;
  }
  keep("multiplier", "multiplier", "multiply", widths.ifmap_bits, widths.weight_bits, multipliers);
  const Accumulation& datapath = accelerator.datapath.accumulation;
  const Accumulation sized =
      datapath.with_outermost(widths.accumulator_bits, datapath.outermost().overflow);
  for (const Adders& adders : adders_per_pe(sized, widths.ifmap_bits + widths.weight_bits)) {
    keep(adders.what, "adder", "add", adders.bits, 0, adders.count * accelerator.pes());
  }
  return area;
}

}  // namespace widthwise
