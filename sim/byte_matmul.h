#pragma once
#include <boost/align/aligned_allocator.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "quant/quantized_network.h"
#include "sim/byte_kernel.h"
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

// A matmul layer packed for the byte kernels: exact sums, bit-identical to reference_matmul.
class ByteMatmul {
 public:
  // Nothing where these kernels are not for this machine or layer: codes of more than 8 bits,
  // weights that leave int8 once their zero point is taken off, sums that may leave int32, or too
  // few output channels per group to fill the lanes.
  static std::optional<ByteMatmul> pack(const QuantizedLayer& layer,
                                        const TensorQuantization& ifmap,
                                        const KernelTable& kernels);

  // bytes: [images, rows, cols, ic] as CodeTensor has them.
  void run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace,
           TileSink& sink) const;

 private:
  template <class T>
  using Aligned = std::vector<T, boost::alignment::aligned_allocator<T, 64>>;

  ByteMatmul() = default;
  void make_offsets();
  bool pack_weights(const QuantizedLayer& layer);
  const uint8_t* pad(std::span<const uint8_t> bytes, int64_t images,
                     std::vector<uint8_t>& padded) const;
  void run_images(const uint8_t* ifmap, int64_t first_image, int64_t images, TileSink& sink) const;

  // One quad reads 4 bytes, of which each belongs to a tap and a channel of the group, or to none.
  struct Slot {
    int64_t channel = -1, row = 0, col = 0;
  };

  MatmulWorkload workload_;
  const ByteKernelTable* kernels_ = nullptr;
  int32_t zero_byte_ = 0;
  int64_t padded_rows_ = 0, padded_cols_ = 0;
  bool padded_ = false;           // windows leave the ifmap, or end before it does
  std::vector<Slot> slots_;       // [quads][4]
  std::vector<int32_t> offsets_;  // [quads]
  std::vector<int64_t> pixels_;   // [ofmap pixels]: where a window begins, in one image
  Aligned<int8_t> weights_;       // by group, by block of kTileChannels: as ByteTile has them
  std::vector<int64_t> blocks_;   // where each block's weights begin
  std::vector<int32_t> start_;    // [blocks * kTileChannels]
};

}  // namespace widthwise
