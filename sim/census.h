#pragma once
#include <cstdint>
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
  int64_t least() const { return least_; }  // extremes of all running sums
  int64_t greatest() const { return greatest_; }
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
    std::vector<int64_t> running, final;  // outputs by the width that they need
    // Widths kMinBits..(width of the bias - 1), first all under wrap, then all under saturate.
    std::vector<Limits> limits;
    std::vector<int32_t> floors, ceilings;  // the same for int32 sums: limits beyond them never hit
    std::vector<int64_t> outside;           // hits
  };
  int bias_bits(int64_t channel) const;  // width from which the bias starts as it is

  std::vector<int32_t> bias_;
  BiasMode bias_mode_ = BiasMode::kPreload;
  std::vector<Channel> per_channel_;
  int64_t least_ = 0, greatest_ = 0;
};

}  // namespace widthwise
