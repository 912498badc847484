#pragma once
#include <optional>
#include <span>
#include <vector>

#include "sim/byte_ifmap.h"
#include "sim/byte_layer.h"
#include "sim/saturate_kernel.h"

namespace widthwise {

// Chains that saturate after every product, in groups of many output channels. Tiles are watched
// first where that is worth while; what may have left its bits is added up value by value.
class ByteSaturate : public ByteLayer {
 public:
  // Nothing as ByteMatmul::pack; stages: [chain all].
  static std::optional<ByteSaturate> pack(const QuantizedLayer& layer,
                                          const TensorQuantization& ifmap,
                                          const Accumulation& accumulation,
                                          const KernelTable& kernels);

  void run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace, TileSink& sink,
           LayerCensus* census) const override;

 private:
  // Up to kTileChannels output channels of one group.
  struct Block {
    int64_t channel = 0, channels = 0, vectors = 0;
    int64_t watched_weights = 0, corrections = 0;  // where they begin
  };
  struct Watched {
    int64_t tiles = 0, failed = 0;
  };
  // Some pixels, and what is known of them, by block of the group.
  struct Pixels {
    const uint8_t* const* windows = nullptr;
    int64_t count = 0, first = 0, first_block = 0, blocks = 0;
  };

  ByteSaturate(const MatmulWorkload& workload, ByteIfmap ifmap)
      : workload_(workload), ifmap_(std::move(ifmap)) {}
  bool pack_weights(const QuantizedLayer& layer);
  bool pack_channel(const QuantizedLayer& layer, const Block& block, int64_t index);
  void choose_watch(int64_t largest_value, int32_t largest_start);
  int64_t half_of_magnitudes(int64_t quads, int64_t largest_value) const;

  // Writes [blocks][count]: which pixels are left to saturate; the others go to the sink.
  bool watch(const Pixels& pixels, std::vector<Watched>& watched, Workspace& workspace,
             TileSink& sink) const;
  void saturate(const Pixels& pixels, Workspace& workspace, TileSink& sink) const;
  void add_products(const Pixels& pixels, int64_t first, bool& all, Workspace& workspace) const;
  void give_sums(const Pixels& pixels, Workspace& workspace, TileSink& sink) const;
  int64_t padded_products() const {
    return (ifmap_.quads() * 4 + kSaturateProducts - 1) / kSaturateProducts * kSaturateProducts;
  }
  int64_t products_together() const {
    return lanes_ == SaturateLanes::kInt16Rails && both_signs_ ? kSaturateProducts / 2
                                                               : kSaturateProducts;
  }
  int64_t sum_bytes() const { return kTileChannels * (lanes_ == SaturateLanes::kInt32 ? 4 : 2); }

  MatmulWorkload workload_;
  ByteIfmap ifmap_;
  const KernelTable* kernels_ = nullptr;
  SaturateLanes lanes_ = SaturateLanes::kInt32;
  int bits_ = 32;
  bool both_signs_ = false;  // of values
  bool together_ = false;    // the bytes of every kBlockQuads quads
  int64_t watch_quads_ = 0;  // between two points; 0: not watched
  int32_t margin_ = 0;
  std::vector<Block> blocks_;              // by group
  AlignedVector<int8_t> weights_;          // [blocks][padded_products()][kTileChannels]
  AlignedVector<int8_t> watched_weights_;  // by block, as ByteTile has them
  AlignedVector<int32_t> corrections_;     // by block, as ByteTile has them, if watched
  AlignedVector<int32_t> start_, last_;    // [blocks][kTileChannels]; last_: or empty
};

}  // namespace widthwise
