#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "quant/statistics.h"
#include "quant/tensor_collector.h"

namespace widthwise {

// Records of the inputs and the output of every layer of a network (lowered with Clamps::kLayers,
// so that each ReLU has its own), over the first `images` images of a source, which are read twice:
// `progress` advances by 2 * images. Layers that only move one tensor's data (Flatten, Reshape)
// have none. `modules` names the layers (quant/module_names.h). Runs on both cores; the numbers do
// not depend on how many there are, nor does memory on the number of images. Throws InputError
// where a layer's values are not finite.
NetworkStatistics collect_statistics(const FloatNetwork& network,
                                     const std::vector<std::string>& modules,
                                     const ImageSource& source, int64_t images,
                                     const CollectorOptions& options, Progress& progress);

}  // namespace widthwise
