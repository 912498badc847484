#pragma once
#include <optional>
#include <vector>

#include "sim/byte_ifmap.h"
#include "sim/byte_layer.h"
#include "sim/reference.h"

namespace widthwise {

// Every output channel has one ifmap channel, its own: lanes are channels of both.
class ByteDepthwise : public ByteLayer {
 public:
  // Nothing as ByteMatmul::pack; stages: [chain all] and [tree T, chain all] in every mode.
  static std::optional<ByteDepthwise> pack(const QuantizedLayer& layer,
                                           const TensorQuantization& ifmap,
                                           const Accumulation& accumulation, KernelMode mode,
                                           const KernelTable& kernels);

  void run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace, TileSink& sink,
           LayerCensus* census) const override;

 private:
  explicit ByteDepthwise(ByteIfmap ifmap) : ifmap_(std::move(ifmap)) {}
  bool pack_channel(const QuantizedLayer& layer, std::span<const Tap> slots, int64_t channel);

  void run_pixels(DepthwiseTile& tile, const ByteIfmap::Windows& windows, int64_t channel,
                  int64_t channels, TileSink& sink, TileCensus* counted) const;

  ByteIfmap ifmap_;
  DepthwiseMode mode_ = DepthwiseMode::kExact;
  const ByteKernelTable* kernels_ = nullptr;
  int64_t channels_ = 0, quads_ = 0, quads_per_fit_ = 1;
  bool one_tap_ = false;      // of every quad
  int64_t column_bytes_ = 0;  // as DepthwiseTile has them
  int bits_ = 32;
  std::vector<int32_t> offsets_;  // [quads][4]
  // By block of kTileChannels channels, as DepthwiseTile has them.
  AlignedVector<int8_t> weights_;
  AlignedVector<int32_t> start_, last_, corrections_;
};

}  // namespace widthwise
