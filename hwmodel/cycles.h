#pragma once
#include <cstdint>

#include "hwmodel/tiling.h"

namespace widthwise {

// Registers between the last operands of a layer and its last result: product, tree, accumulator.
inline constexpr int kDotTreeLatencyCycles = 3;

struct CycleCount {
  int64_t tiles = 0;  // of all groups
  int64_t cycles_per_tile = 0;
  int64_t cycles = 0;      // tiles * cycles_per_tile + kDotTreeLatencyCycles
  double utilization = 0;  // products / (cycles * multipliers of the array), 0..1
};

// Cycles of a dot_tree array for one layer. A tile holds the PEs for ceil(K / lanes) cycles, and
// one more if the bias is added last; tiles follow each other without gaps, so the latency is paid
// once. A layer with unit weights (average pooling) occupies the lanes as any other and counts so.
// Operands are taken to arrive in time: stalls of the memories are not in this count. Element-wise
// layers, pooling by maximum and data movement do not run on the array and have no count here.
// Throws InputError for the systolic templates, which have no cycle model yet.
CycleCount count_cycles(const MatmulWorkload& workload, const Accumulation& accumulation,
                        const Accelerator& accelerator);

}  // namespace widthwise
