#include "hwmodel/energy.h"

#include <utility>

#include "hwmodel/additions.h"
#include "hwmodel/tiling.h"

namespace widthwise {
namespace {

CountedAction counted(const std::string& what, const CostTable& table, const std::string& component,
                      const std::string& action, int bits, int other_bits, int64_t count) {
  const Cost cost = table.lookup(component, action, bits, other_bits);
  const double total_pj = static_cast<double>(count) * cost.energy_pj;
  return {what,  component,      action,   bits,        other_bits, 0,          0,
          count, cost.energy_pj, total_pj, cost.scaled, cost.rule,  cost.source};
}

// component: sram of `kib`, or dram.
CountedAction moved(const std::string& what, const CostTable& table, const std::string& component,
                    double kib, int64_t bits) {
  const Cost cost = table.lookup(component, "access", component == "sram" ? kib : kAccessBits);
  const int64_t count = ceil_div(bits, kAccessBits);
  const double total_pj = static_cast<double>(count) * cost.energy_pj;
  return {what,  component,      "access", kAccessBits, 0,         kib,        bits,
          count, cost.energy_pj, total_pj, cost.scaled, cost.rule, cost.source};
}

}  // namespace

LayerEnergy matmul_energy(const MatmulWorkload& workload, const OperandWidths& widths,
                          const Accumulation& accumulation, const Accelerator& accelerator,
                          const CostTable& table, Arithmetic arithmetic) {
  const Tiling t = tile(workload, accelerator);
  const bool real = arithmetic == Arithmetic::kFloat32;
  const std::string prefix = real ? "fp_" : "";
  const int ifmap_bits = real ? 32 : widths.ifmap_bits;
  const int weight_bits = real ? 32 : widths.weight_bits;
  const int ofmap_bits = real ? 32 : widths.ofmap_bits;
  const int64_t weighted = workload.unit_weights ? 0 : 1;
  LayerEnergy energy;
  const auto keep = [&](CountedAction action, double& total) {
    if (action.count == 0) return;
    total += action.total_pj;
    energy.actions.push_back(std::move(action));
  };

  if (weighted != 0) {
    keep(counted("multiplication", table, prefix + "multiplier", "multiply", ifmap_bits,
                 real ? 0 : weight_bits, workload.macs()),
         energy.compute_pj);
  }
  const Accumulation sized =
      accumulation.with_outermost(widths.accumulator_bits, accumulation.outermost().overflow);
  const int product_bits = ifmap_bits + (weighted != 0 ? weight_bits : 0);
  for (const Adders& adders : additions_per_output(sized, product_bits, t.reduction)) {
    keep(counted(adders.what, table, prefix + "adder", "add", real ? 32 : adders.bits, 0,
                 adders.count * t.ofmap_elements()),
         energy.compute_pj);
  }

  const int64_t ifmap_reads = t.groups * t.col_tiles * t.pixels * t.reduction;
  const int64_t weight_reads = weighted * t.groups * t.row_tiles * t.channels * t.reduction;
  const MemoryConfig& memory = accelerator.memory;
  keep(moved("ifmap SRAM read", table, "sram", memory.ifmap_sram.kib, ifmap_reads * ifmap_bits),
       energy.sram_pj);
  keep(moved("weight SRAM read", table, "sram", memory.weight_sram.kib, weight_reads * weight_bits),
       energy.sram_pj);
  keep(moved("ofmap SRAM write", table, "sram", memory.ofmap_sram.kib,
             t.ofmap_elements() * ofmap_bits),
       energy.sram_pj);

  keep(moved("ifmap DRAM read", table, "dram", 0, workload.window.ifmap_elements() * ifmap_bits),
       energy.dram_pj);
  keep(moved("weight DRAM read", table, "dram", 0,
             weighted * workload.weight_elements() * weight_bits),
       energy.dram_pj);
  keep(moved("ofmap DRAM write", table, "dram", 0, t.ofmap_elements() * ofmap_bits),
       energy.dram_pj);
  return energy;
}

}  // namespace widthwise
