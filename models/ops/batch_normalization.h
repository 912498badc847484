#pragma once
#include <vector>

#include "models/node_view.h"

namespace widthwise {

// y = scale[c] * x + offset[c] for every channel c.
struct ChannelAffine {
  std::vector<double> scale, offset;
};

// What a BatchNormalization node does to each of its channels; refuses what is not supported.
ChannelAffine read_batch_normalization(const NodeView& node, int64_t channels);

}  // namespace widthwise
