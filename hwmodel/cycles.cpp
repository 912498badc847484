#include "hwmodel/cycles.h"

#include "core/error.h"

namespace widthwise {

CycleCount count_cycles(const MatmulWorkload& workload, const Accumulation& accumulation,
                        const Accelerator& accelerator) {
  if (accelerator.array.array_template != "dot_tree") {
    throw InputError({.file = accelerator.file,
                      .where = "",
                      .field = "array.template",
                      .problem = "is " + accelerator.array.array_template +
                                 ", for which no cycle model exists yet, allowed dot_tree",
                      .fix = "describe a dot_tree array, such as edge-int8"});
  }
  const Tiling tiling = tile(workload, accelerator);
  CycleCount count;
  count.tiles = tiling.groups * tiling.row_tiles * tiling.col_tiles;
  count.cycles_per_tile = ceil_div(tiling.reduction, accumulation.lanes()) +
                          (accumulation.bias == BiasMode::kLast ? 1 : 0);
  count.cycles = count.tiles * count.cycles_per_tile + kDotTreeLatencyCycles;
  count.utilization =
      static_cast<double>(workload.additions()) /
      (static_cast<double>(count.cycles) * static_cast<double>(accelerator.multipliers()));
  return count;
}

}  // namespace widthwise
