#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/requantizer.h"
#include "quant/quantized_network.h"
#include "sim/kernel.h"

namespace widthwise {

// The requantizers over rows: the kernel's loop where it has one (float32; multiplier and shift
// rounded half up or down), else the scalar reference. Both give the same codes.

// Sums of one output channel.
class ChannelRequantizer {
 public:
  // All but the first are what `reference` was made of.
  ChannelRequantizer(Requantizer reference, const RequantizeConfig& config, int32_t zero_point,
                     int32_t q_min, int32_t q_max, const KernelTable& kernels);
  void run(const int32_t* sums, int64_t count, int32_t* codes) const;
  int32_t operator()(int64_t sum) const { return reference_(sum); }
  // What the kernel computes with; null: it has no loop for this requantizer.
  const RequantizeJob* job() const { return fast_ ? &job_ : nullptr; }

 private:
  Requantizer reference_;
  const KernelTable* kernels_;
  bool fast_ = false;
  RequantizeJob job_;
};

// Sums of tiles, all output channels: the same codes as bytes.
class TileRequantizer {
 public:
  // Of all channels of a layer, which share zero point and range.
  TileRequantizer(std::span<const ChannelRequantizer> channels, int32_t zero_point, int32_t q_min,
                  int32_t q_max, int32_t offset, const ByteKernelTable& kernels);
  // Sums as a TileSink has them, wrapped first if wrap_bits is not 0; to: the tile's first byte,
  // pixels lie `stride` apart.
  void run(int64_t channel, int64_t channels, int64_t count, const int32_t* sums, int wrap_bits,
           uint8_t* to, int64_t stride) const;

 private:
  std::span<const ChannelRequantizer> channels_;
  const ByteKernelTable* kernels_;
  bool fast_ = false;
  ByteRequantizeJob job_;
  std::vector<float> float_multipliers_;  // of all channels and a vector more
  std::vector<int32_t> least_sums_, greatest_sums_;
  std::vector<int64_t> multipliers_, rounding_addends_, shifts_;
};

// Codes of one tensor, or the sum of two.
class RowRequantizer {
 public:
  RowRequantizer(const RequantizeConfig& config, const std::vector<TensorQuantization>& operands,
                 const TensorQuantization& ofmap, int32_t q_min, int32_t q_max,
                 const KernelTable& kernels);
  void run(const int32_t* first, const int32_t* second, int64_t count, int32_t* codes) const;

 private:
  ElementwiseRequantizer reference_;
  const KernelTable* kernels_;
  bool fast_ = false;
  ElementwiseJob job_;
};

}  // namespace widthwise
