#pragma once

namespace widthwise {

// Images that run through a network at a time, and batches of them that are summed in float32.
inline constexpr int kBatchImages = 16, kBatchSlots = 8;

}  // namespace widthwise
