#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "quant/quantized_network.h"
#include "sim/byte_kernel.h"
#include "sim/census.h"
#include "sim/packed_matmul.h"

namespace widthwise {

// Receives the sums of some pixels and output channels: [count][kTileChannels], of which `channels`
// are filled. Pixels count over images, then rows, then columns.
class TileSink {
 public:
  virtual ~TileSink() = default;
  virtual void tile(int64_t channel, int64_t channels, int64_t pixel, int64_t count,
                    const int32_t* sums) = 0;
};

// A matmul layer packed for the byte kernels in one mode: bit-identical to reference_matmul.
class ByteLayer {
 public:
  virtual ~ByteLayer() = default;
  // bytes: [images, rows, cols, ic] as CodeTensor has them. census: of this layer, with kCensus.
  virtual void run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace,
                   TileSink& sink, LayerCensus* census = nullptr) const = 0;
};
// Null where these kernels are not for this machine, layer or mode.
std::shared_ptr<const ByteLayer> pack_bytes(const QuantizedLayer& layer,
                                            const TensorQuantization& ifmap,
                                            const Accumulation& accumulation, KernelMode mode,
                                            const KernelTable& kernels);

// Whether a group has output channels enough to fill the lanes with; fewer are better off
// elsewhere.
inline bool fills_lanes(const MatmulWorkload& workload) {
  constexpr int64_t kLeastGroupChannels = 8;
  return workload.groups == 1 || workload.group_ofmap_channels() >= kLeastGroupChannels;
}

// What every byte kernel asks of a layer: codes of at most 8 bits; a mode without counts; one
// fitted chain, unless sums are exact; one that saturates, where that is the mode; and running
// sums, with its rails then, of which `sum_factor` times the largest stays below `limit`.
bool suits_bytes(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                 const Accumulation& accumulation, KernelMode mode, const KernelTable& kernels,
                 int64_t limit, int64_t sum_factor = 1);

// The kernels' arithmetic, which wraps.
inline int32_t wrapping_add(int32_t a, int64_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}

}  // namespace widthwise
