#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/accumulation.h"
#include "core/workload.h"
#include "hwmodel/accelerator.h"
#include "hwmodel/cost_table.h"
#include "hwmodel/operand_widths.h"

namespace widthwise {

// Actions of one kind, and what they cost.
struct CountedAction {
  std::string what;               // "multiplication", "tree level 2 addition", "ifmap SRAM read"
  std::string component, action;  // row of the cost table
  int bits = 0;                   // operand width; kAccessBits for memories
  int other_bits = 0;             // multiplier: width of the weight, else 0
  double kib = 0;                 // sram: capacity
  int64_t moved_bits = 0;         // memories: bits read or written
  int64_t count = 0;              // actions; memories: ceil(moved_bits / kAccessBits), packed
  double energy_pj = 0;           // per action
  double total_pj = 0;            // count * energy_pj
  bool scaled = false;            // energy_pj is not a row of the table
  std::string rule, source;
};

struct LayerEnergy {
  std::vector<CountedAction> actions;
  double compute_pj = 0, sram_pj = 0, dram_pj = 0;  // sums over actions, in their order
  double total_pj() const { return compute_pj + sram_pj + dram_pj; }
};

// Energy of one layer on a dot_tree or systolic_os array (see tile()). With M pixels, N channels
// per group, reduction length K (padded taps take part), each per group:
//   multiplications   M N K, none for unit weights
//   additions         M N times additions_per_output(); a product has ifmap + weight bits, with
//                     unit weights ifmap bits
//   SRAM reads        ifmap ceil(N / cols) M K codes, weights ceil(M / rows) N K codes (none for
//                     unit weights); writes: ofmap M N codes. Filling the SRAMs is not counted.
//   DRAM              weights, ifmap and ofmap once each; biases are not counted.
// Requantization, registers, clock and control are not in the tables and not counted. Element-wise
// layers, pooling by maximum and data movement do not run on the array and have no cost here.
LayerEnergy matmul_energy(const MatmulWorkload& workload, const OperandWidths& widths,
                          const Accumulation& accumulation, const Accelerator& accelerator,
                          const CostTable& table, Arithmetic arithmetic = Arithmetic::kInteger);

}  // namespace widthwise
