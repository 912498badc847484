#pragma once
#include <filesystem>
#include <vector>

#include "core/progress.h"
#include "hwmodel/accelerator.h"
#include "reports/layer_report.h"
#include "sim/evaluate.h"

namespace widthwise {

// Generates the accelerator's array into `rtl_folder` and co-simulates it: tiles of the network's
// heaviest layer that fits, on the first image, then made-up operands that overflow; and, if asked,
// once more with a planted fault, which must be seen. One entry each, as docs/results.md says;
// verdict: match | MISMATCH | fault caught | FAULT NOT SEEN.
std::vector<Json> co_simulate_network(const Accelerator& accelerator,
                                      const QuantizedNetwork& network, const CodeSource& images,
                                      const std::filesystem::path& rtl_folder,
                                      const std::string& command, bool with_fault,
                                      Progress& progress);

// Where compiled models are kept from run to run: $XDG_CACHE_HOME/widthwise or ~/.cache/widthwise.
std::filesystem::path cache_folder();

}  // namespace widthwise
