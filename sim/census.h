#pragma once
#include <cstdint>
#include <limits>
#include <vector>

#include "core/accumulation.h"
#include "sim/kernel.h"

namespace widthwise {

// The overflow census of one matmul layer: what would overflow at every accumulator width at once,
// from the extremes of the exact running sums of one pass over the data. It holds for a reduction
// with one fitted chain: [chain all] or [tree T, chain all], where an output is hit at width P when
// some exact running sum leaves P bits. A preloaded bias that does not fit P bits itself is fitted
// first and shifts the sums; kWrap and kSaturate differ only there. It knows no other policy.
class LayerCensus {
 public:
  static constexpr int kMinBits = kMinAccumulatorBits, kMaxBits = kMaxAccumulatorBits;

  LayerCensus() = default;
  LayerCensus(std::vector<int32_t> bias, BiasMode bias_mode);  // bias: [oc]

  // Outputs of one channel. low and high: extremes of the exact running sum after every addition;
  // sums: the exact final sums; all with the bias where the hardware has it.
  void add_row(int64_t channel, int64_t count, const int32_t* sums, const int32_t* low,
               const int32_t* high, const KernelTable& kernels);
  void add_row(int64_t channel, int64_t count, const int64_t* sums, const int64_t* low,
               const int64_t* high);
  void merge(const LayerCensus& other);  // of the same layer

  int64_t channels() const { return static_cast<int64_t>(bias_.size()); }
  int64_t outputs() const;  // samples behind every rate
  // Outputs with an overflow at this width; kWrap or kSaturate.
  int64_t hit(int bits, OverflowPolicy policy) const;
  int64_t hit(int bits, OverflowPolicy policy, int64_t channel) const;
  int64_t final_misfit(int bits) const;  // outputs whose final sum does not fit
  int64_t final_misfit(int bits, int64_t channel) const;
  // Extremes of all running sums, of the layer and of one channel; least > greatest without
  // samples.
  int64_t least() const;
  int64_t greatest() const;
  int64_t least(int64_t channel) const { return per_channel_[static_cast<size_t>(channel)].least; }
  int64_t greatest(int64_t channel) const {
    return per_channel_[static_cast<size_t>(channel)].greatest;
  }
  // The narrowest width at which no output was hit under either policy. 0 without samples.
  int observed_bits() const;

 private:
  static constexpr int kSlots = 66;  // widths 1..65
  // What a running sum must leave to be a hit at a width where the preloaded bias is fitted.
  struct Limits {
    int64_t floor, ceiling;
  };
  struct Channel {
    int64_t outputs = 0;
    int64_t least = std::numeric_limits<int64_t>::max();
    int64_t greatest = std::numeric_limits<int64_t>::min();
    std::vector<int64_t> running, final;  // outputs by the width that they need
    // Widths kMinBits..(width of the bias - 1), first all under wrap, then all under saturate.
    std::vector<Limits> limits;
    std::vector<int32_t> floors, ceilings;  // the same for int32 sums: limits beyond them never hit
    std::vector<int64_t> outside;           // hits
    int64_t all_outside = 0;                // and at all of these widths at once
  };
  int bias_bits(int64_t channel) const;  // width from which the bias starts as it is

  std::vector<int32_t> bias_;
  BiasMode bias_mode_ = BiasMode::kPreload;
  std::vector<Channel> per_channel_;
  friend class TileCensus;
};

// Adds tiles to a census: outputs of up to kTileChannels channels side by side, their widths
// wait to be counted together.
class TileCensus {
 public:
  TileCensus(LayerCensus& census, int64_t channel, int64_t channels,
             const ByteKernelTable& kernels);
  ~TileCensus();
  TileCensus(const TileCensus&) = delete;
  TileCensus& operator=(const TileCensus&) = delete;

  // [count][kTileChannels] each, as LayerCensus::add_row takes them; low and high may lie short of
  // the extremes as ChainJob says.
  void add(int64_t count, const int32_t* sums, const int32_t* low, const int32_t* high);

  // [kTileChannels]: extremes so far, and below which distance of its extremes an output must have
  // the true ones, for widths at which its start is fitted.
  const int32_t* least() const { return least_; }
  const int32_t* greatest() const { return greatest_; }
  const int32_t* exact_below() const { return exact_below_; }

 private:
  static constexpr int64_t kPixels = 255;
  void flush();

  LayerCensus& census_;
  int64_t channel_, channels_;
  const ByteKernelTable& kernels_;
  bool limits_ = false;  // some channel has widths at which its start is fitted
  int64_t pending_ = 0;  // pixels in the bytes
  alignas(64) uint8_t running_[kPixels * kTileChannels], final_[kPixels * kTileChannels];
  int64_t all_hit_[kTileChannels] = {};
  alignas(64) int32_t least_[kTileChannels], greatest_[kTileChannels], exact_below_[kTileChannels];
};

}  // namespace widthwise
