#pragma once
#include "sim/layer_runner.h"

namespace widthwise {

// Throws InputError, naming `where`, unless a census covers these stages and policies.
void check_census(const Accumulation& accumulation, const std::string& where);

std::unique_ptr<LayerRunner> make_matmul_runner(const QuantizedNetwork& network,
                                                const QuantizedLayer& layer,
                                                const Datapath& datapath,
                                                const RunOptions& options);

}  // namespace widthwise
