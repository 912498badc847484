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

// Energy per image, area of the array's arithmetic and cycles: FP32 on the first accelerator's
// array, then each network on its own. Keys carry their units; savings are FP32 / this. Every
// counted action of every layer is there with its row, source, and whether it was scaled:
//   {table, reference_ratios, arithmetics: [{name, energy_uj: {compute, sram, dram, total},
//   area_um2,
//    compute_saving, energy_saving, area_saving, cycles, layers: [{name, energy_nj, actions}],
//    instances}], mac: {accumulator_bits, ...}, scaled: [rule, ...]}
Json cost_report(const std::vector<CostedNetwork>& networks);

}  // namespace widthwise
