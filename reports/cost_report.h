#pragma once
#include <string>
#include <vector>

#include "hwmodel/accelerator.h"
#include "reports/layer_report.h"

namespace widthwise {

// A network on an accelerator, and the name that reports give it ("INT8").
struct CostedNetwork {
  std::string name;
  const QuantizedNetwork* network;
  const Accelerator* accelerator;
};

// Energy per image, area of the array's arithmetic and cycles of each network on its accelerator,
// and of FP32 on the same array with the same table, which its savings (FP32 / this) are against.
// Keys carry their units. Every counted action of every layer is there with its row, source, and
// whether it was scaled:
//   {tables, reference_ratios, arithmetics: [{name, array, baseline, energy_uj: {compute, sram,
//   dram,
//    total}, area_um2, compute_saving, energy_saving, area_saving, cycles, layers: [{name,
//    energy_nj, actions}], instances}], mac: [{name, rows}], scaled: [rule, ...]}
Json cost_report(const std::vector<CostedNetwork>& networks);

}  // namespace widthwise
