#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "hwmodel/cost_table.h"
#include "hwmodel/operand_widths.h"

namespace widthwise {

// Instances of one kind on the array, and their area.
struct CountedInstance {
  std::string what;       // "multiplier", "tree level 2 adder", "accumulator adder"
  std::string component;  // row of the cost table
  int bits = 0, other_bits = 0;
  int64_t count = 0;
  double area_um2 = 0, total_um2 = 0;  // per instance, count * area_um2
  bool scaled = false;
  std::string rule, source;
};

struct ArrayArea {
  std::vector<CountedInstance> instances;
  double total_um2 = 0;  // sum over instances, in their order
};

// Area of the arithmetic of a dot_tree or systolic_os array: per PE a multiplier per lane, the
// adders of its tree and of its chains (adders_per_pe() at `widths`). kFloat32: an FP32 multiplier
// and an FP32 adder per lane. Registers, control, requantizers and memories are not in the tables
// and not in the sum.
ArrayArea array_area(const OperandWidths& widths, const Accelerator& accelerator,
                     const CostTable& table, Arithmetic arithmetic = Arithmetic::kInteger);

}  // namespace widthwise
