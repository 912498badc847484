#pragma once
#include "models/ops/per_channel.h"

namespace widthwise {

// What a BatchNormalization node does to each of its channels; refuses what is not supported.
ChannelAffine read_batch_normalization(const NodeView& node, int64_t channels);

}  // namespace widthwise
