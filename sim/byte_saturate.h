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
  // One or two blocks whose channels lie side by side while they saturate.
  struct Unit {
    int64_t block = 0, width = 1;
    int64_t weights = 0;   // where they begin
    int64_t channels = 0;  // of the group's units before it
  };
  struct Watched {
    int64_t tiles = 0, failed = 0;
  };
  // Some pixels and the units of their group.
  struct Pixels {
    const uint8_t* const* windows = nullptr;
    int64_t count = 0, first = 0, first_unit = 0, units = 0;
  };

  ByteSaturate(const MatmulWorkload& workload, ByteIfmap ifmap)
      : workload_(workload), ifmap_(std::move(ifmap)) {}
  void add_block(const QuantizedLayer& layer, const Accumulation& accumulation, int64_t channel,
                 int64_t channels);
  bool pack_weights(const QuantizedLayer& layer);
  bool pack_channel(const QuantizedLayer& layer, const Unit& unit, int64_t index);
  void choose_watch(int64_t largest_value);
  void pack_watched();
  int64_t half_of_magnitudes(int64_t quads, int64_t largest_value) const;

  // Whether all values are added, of which `others` are not 0.
  bool suits_all(int64_t others, int64_t values) const;
  // Writes [units][count]: which pixels are left to saturate; the others go to the sink. Whether
  // any are. watched: by unit, and of all.
  bool watch(const Pixels& pixels, std::vector<Watched>& watched, Workspace& workspace,
             TileSink& sink) const;
  bool watch_tile(const Unit& unit, ByteTile& tile, int64_t pixel, TileSink& sink) const;
  // all: whether zeros are added, too; set for what follows.
  void saturate(const Pixels& pixels, bool& all, Workspace& workspace, TileSink& sink) const;
  void add_products(const Pixels& pixels, int64_t first, bool& all, Workspace& workspace) const;
  void add_to_unit(const Pixels& pixels, int64_t unit, int64_t first, const ListValuesJob& list,
                   Workspace& workspace) const;
  void give_sums(const Pixels& pixels, Workspace& workspace, TileSink& sink) const;
  uint8_t* kept_sums(const Pixels& pixels, const Unit& unit, int64_t pixel,
                     Workspace& workspace) const;
  int64_t padded_products() const {
    return (ifmap_.quads() * 4 + form_.products - 1) / form_.products * form_.products;
  }

  MatmulWorkload workload_;
  ByteIfmap ifmap_;
  const KernelTable* kernels_ = nullptr;
  SaturateForm form_;
  bool together_ = false;    // the bytes of every kBlockQuads quads
  int64_t watch_quads_ = 0;  // between two points; 0: not watched
  int32_t margin_ = 0;
  std::vector<Block> blocks_;              // by group
  std::vector<Unit> units_;                // by group
  AlignedVector<int8_t> weights_;          // by unit, [padded_products()][width * kTileChannels]
  AlignedVector<int8_t> watched_weights_;  // by block, as ByteTile has them
  AlignedVector<int32_t> corrections_;     // by block, as ByteTile has them, if watched
  AlignedVector<int32_t> start_, last_;    // [blocks][kTileChannels]; last_: or empty
};

}  // namespace widthwise
