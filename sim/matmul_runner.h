#pragma once
#include "sim/layer_runner.h"

namespace widthwise {

std::unique_ptr<LayerRunner> make_matmul_runner(const QuantizedNetwork& network,
                                                const QuantizedLayer& layer,
                                                const Datapath& datapath,
                                                const RunOptions& options);

}  // namespace widthwise
