#pragma once
#include <cstdint>
#include <vector>

#include "models/network.h"

namespace widthwise {

// How FloatExecutor stores a tensor of one image: pixel by pixel, the channels of a pixel together
// (oneDNN's nhwc), while the network's order is channel by channel.
struct NativeLayout {
  int64_t channels = 1, pixels = 1;
  int64_t elements() const { return channels * pixels; }
  int64_t native_index(int64_t plain) const { return plain % pixels * channels + plain / pixels; }
  void to_native(const float* plain, float* native) const;
  void to_plain(const float* native, float* plain) const;
};

// One per tensor. The first axis is the channel, except for a tensor of four axes and more, of
// which all but the last two are: there a channel shuffle moves whole runs.
std::vector<NativeLayout> native_layouts(const FloatNetwork& network);

// to[to + i] = input `input`[from + i] for 0 <= i < length, in native positions.
struct MoveRun {
  size_t input = 0;
  int64_t from = 0, to = 0, length = 0;
};
std::vector<MoveRun> native_runs(const MoveWorkload& move, const std::vector<NativeLayout>& inputs,
                                 const NativeLayout& output);

// Which buffer each tensor lives in: a buffer is used again once its tensor has had its last
// reader. The network's output keeps its own.
struct BufferPlan {
  std::vector<int> of_tensor;     // -1: never written
  std::vector<int64_t> elements;  // per buffer, of one image
};
BufferPlan plan_buffers(const FloatNetwork& network);

}  // namespace widthwise
