#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/byte_ifmap.h"
#include "sim/byte_layer.h"

namespace widthwise {

// Groups of many output channels.
class ByteMatmul : public ByteLayer {
 public:
  // Nothing where these kernels are not for this machine, layer or mode: codes of more than 8 bits,
  // weights that leave int8 once their zero point is taken off, sums that may leave int32, too few
  // output channels per group to fill the lanes, stages other than [tree T, chain all] and (for a
  // census) [chain all]. kExact ignores the stages; the others fit or watch as they say.
  static std::optional<ByteMatmul> pack(const QuantizedLayer& layer,
                                        const TensorQuantization& ifmap,
                                        const Accumulation& accumulation, KernelMode mode,
                                        const KernelTable& kernels);

  void run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace, TileSink& sink,
           LayerCensus* census) const override;

 private:
  // Up to kTileChannels output channels of one group.
  struct Block {
    int64_t channel = 0, channels = 0;  // of the layer
    int64_t vectors = 0;
    int64_t weights = 0;      // where its weights begin
    int64_t corrections = 0;  // and its corrections
  };

  // Rows of the kernel that lie within the ifmap, for some rows of the ofmap: what the others add
  // is known. Of modes other than kExact: all rows.
  struct Reach {
    int64_t first = 0, end = 0;
    bool operator==(const Reach&) const = default;
  };

  static constexpr int64_t kShortQuads = 256;  // of a chain with kShortPointQuads, at most

  ByteMatmul(const MatmulWorkload& workload, ByteIfmap ifmap)
      : workload_(workload), ifmap_(std::move(ifmap)) {}
  void find_reaches();
  bool pack_weights(const QuantizedLayer& layer);
  bool pack_channel(const QuantizedLayer& layer, const Block& block, int64_t index);
  void take_zero_byte(const Block& block, int64_t index, int64_t row, int32_t weight);
  void pack_weight(int8_t* to, int64_t stride, int64_t slot, int32_t weight);
  void run_block(const ByteIfmap::Windows& windows, const Block& block, Workspace& workspace,
                 TileSink& sink, TileCensus* counted) const;
  void run_exact(const ByteIfmap::Windows& windows, const Block& block, TileSink& sink) const;
  int64_t start_at(int64_t reach, const Block& block) const {
    return (reach * block_count() + (&block - blocks_.data())) * kTileChannels;
  }
  int64_t group_blocks() const {
    return (workload_.group_ofmap_channels() + kTileChannels - 1) / kTileChannels;
  }
  int64_t block_count() const { return workload_.groups * group_blocks(); }
  int64_t row_bytes() const {
    return (ifmap_.quads() + kBlockQuads - 1) / kBlockQuads * kBlockQuads * 4;
  }
  bool is_chain() const { return mode_ == KernelMode::kCensus && quads_per_fit_ == 0; }
  bool is_bounded() const { return is_chain() && !product_by_product_; }
  int64_t point_quads() const {
    return ifmap_.quads() <= kShortQuads ? kShortPointQuads : kLongPointQuads;
  }
  int64_t streams() const { return !is_chain() ? 1 : product_by_product_ ? kExtremesStreams : 2; }
  // Vectors of a part, at most.
  int64_t part_vectors() const {
    return mode_ != KernelMode::kCensus ? kTileVectors : is_chain() ? 1 : kCensusVectors;
  }

  int64_t tile_pixels() const {
    if (mode_ == KernelMode::kSaturate) return kSaturatePixels;
    if (is_bounded()) return kChainPixels;
    return mode_ == KernelMode::kCensus && !is_chain() ? kTreeCensusPixels : kTilePixels;
  }

  MatmulWorkload workload_;
  ByteIfmap ifmap_;
  KernelMode mode_ = KernelMode::kExact;
  const ByteKernelTable* kernels_ = nullptr;
  int64_t quads_per_fit_ = 0;  // 0: every product is fitted
  int bits_ = 32;
  bool together_ = false;             // ChainJob::together
  bool product_by_product_ = false;   // is_chain(): not by bounds
  std::vector<Block> blocks_;         // by group
  AlignedVector<int8_t> weights_;     // as ByteTile has them, or ChainJob
  AlignedVector<int8_t> rows_;        // is_bounded(): weights [oc][row_bytes()]
  std::vector<Reach> reaches_;        // that there are
  std::vector<int64_t> row_reaches_;  // [ofmap rows]: which one
  AlignedVector<int32_t> start_;      // [reaches][blocks][kTileChannels]
  AlignedVector<int32_t> last_;       // the same; empty unless the bias is added last
  AlignedVector<int32_t>
      corrections_;  // by block; empty if the zero byte is 0 or the mode is kExact
};

}  // namespace widthwise
