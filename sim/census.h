#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/accumulation.h"
#include "sim/kernel.h"
#include "sim/reference.h"

namespace widthwise {

// Outputs of one channel, as arrays of one number each: the exact final sums, and the extremes of
// the exact running sums after every addition, of the outermost chain and of one inside it.
template <class Integer>
struct CensusRow {
  const Integer* sums = nullptr;
  const Integer* low = nullptr;
  const Integer* high = nullptr;
  const Integer* inner_low = nullptr;  // null without an inner chain
  const Integer* inner_high = nullptr;
};

// What a bias that is preloaded does to an output at widths P that the bias does not fit, from the
// extremes of the exact running sums. Wrapping moves every sum by the same multiple of 2^P, so an
// addition overflows when the sums and the bias do not all lie between the same two odd multiples
// of 2^(P-1); saturating moves the bias to a rail, so they must lie on its inner side, less than
// 2^P from it.
struct FittedHits {
  static constexpr int kEvery = 32;  // widths: no bias of 32 bits is fitted at more
  int wrap_up_to = 0;                // hit under wrap at this width and narrower ones,
  int wrap_also = 0;                 // and at this one; 0: none
  int saturate_up_to = 0;
};
FittedHits fitted_hits(int64_t bias, int64_t low, int64_t high);

// The overflow census of one matmul layer: what would overflow at every accumulator width at once,
// from the extremes of the exact running sums of one pass over the data. It holds for a reduction
// with one chain or two, with trees only before the first one: an output is hit at width P when
// some exact running sum leaves P bits, and at widths P of the inner and Q of the outer chain when
// one of the inner chain leaves P or one of the outer leaves Q. A preloaded bias that does not fit
// by itself is fitted first and shifts the sums; kWrap and kSaturate differ only there. It knows no
// other policy.
class LayerCensus {
 public:
  static constexpr int kMinBits = kMinAccumulatorBits, kMaxBits = kMaxAccumulatorBits;

  LayerCensus() = default;
  // bias: [oc]. Of the accumulation, the bias mode and the number of chains matter.
  LayerCensus(std::vector<int32_t> bias, const Accumulation& accumulation);

  // With the bias where the hardware has it.
  void add_row(int64_t channel, int64_t count, const CensusRow<int32_t>& row,
               const KernelTable& kernels);
  void add_image(const PrefixExtremes& image);
  void merge(const LayerCensus& other);  // of the same layer; an empty one becomes the other

  int64_t channels() const { return static_cast<int64_t>(bias_.size()); }
  int64_t outputs() const;  // samples behind every rate
  // Outputs with an overflow at this width, if no inner chain overflows; kWrap or kSaturate.
  int64_t hit(int bits, OverflowPolicy policy) const;
  // Of one channel, every width at once: entry `bits`.
  using ByWidth = std::array<int64_t, kMaxBits + 1>;
  ByWidth hits(OverflowPolicy policy, int64_t channel) const;
  int64_t hit(int bits, OverflowPolicy policy, int64_t channel) const;
  // The same at these widths of the inner and the outer chain; and in the inner one alone.
  bool has_inner() const { return has_inner_; }
  int64_t hit(int inner_bits, int bits, OverflowPolicy policy) const;
  int64_t hit(int inner_bits, int bits, OverflowPolicy policy, int64_t channel) const;
  int64_t inner_hit(int inner_bits) const;
  int64_t inner_hit(int inner_bits, int64_t channel) const;
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
  int64_t inner_least() const;
  int64_t inner_greatest() const;
  // The narrowest width at which no output was hit under either policy. 0 without samples.
  int observed_bits() const;
  int observed_inner_bits() const;

 private:
  static constexpr int kSlots = 66;  // widths 0..65
  // Numbers of outputs.
  struct Hits {
    std::vector<int64_t> running;  // by the width that the running sums need
    // By the widths of FittedHits, for a channel whose bias does not fit every width.
    std::vector<int64_t> wrap_up_to, wrap_also, saturate_up_to;
  };
  struct Channel {
    int64_t outputs = 0;
    int64_t least = std::numeric_limits<int64_t>::max();
    int64_t greatest = std::numeric_limits<int64_t>::min();
    std::vector<int64_t> final;  // outputs by the width that the final sum needs
    Hits all;
    std::vector<Hits> by_inner;  // with an inner chain: by the width that its sums need
    int64_t inner_least = std::numeric_limits<int64_t>::max();
    int64_t inner_greatest = std::numeric_limits<int64_t>::min();
  };
  template <class Count>
  int64_t over_channels(Count&& count) const {
    int64_t total = 0;
    for (int64_t c = 0; c < channels(); ++c) total += count(c);
    return total;
  }
  void add_all(const LayerCensus& other);
  Hits no_hits(int64_t channel) const;
  void add_fitted(Hits& to, int64_t channel, int64_t low, int64_t high) const;
  template <class Integer>
  void add_inner(int64_t channel, int64_t count, const CensusRow<Integer>& row);
  int64_t hit(const Hits& from, int bits, OverflowPolicy policy, int64_t channel) const;
  void add_row(int64_t channel, int64_t count, const CensusRow<int64_t>& row);
  int widest(int64_t channel) const;     // of what the channel's sums need
  int bias_bits(int64_t channel) const;  // width from which the bias starts as it is
  bool has_fitted_start(int64_t channel) const { return bias_bits(channel) > kMinBits; }

  std::vector<int32_t> bias_;
  BiasMode bias_mode_ = BiasMode::kPreload;
  bool has_inner_ = false;
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

  // [count][kTileChannels] each, as in a CensusRow; low and high may lie short of the extremes as
  // ChainJob says.
  void add(int64_t count, const int32_t* sums, const int32_t* low, const int32_t* high);

  // [kTileChannels]: extremes so far.
  const int32_t* least() const { return least_; }
  const int32_t* greatest() const { return greatest_; }
  const FittedStarts& starts() const { return starts_; }

 private:
  static constexpr int64_t kPixels = 255;
  void flush();

  LayerCensus& census_;
  int64_t channel_, channels_;
  const ByteKernelTable& kernels_;
  FittedStarts starts_;
  int64_t pending_ = 0;  // pixels in the bytes
  using Bytes = uint8_t[kPixels * kTileChannels];
  alignas(64) Bytes running_, final_, wrap_up_to_, wrap_also_, saturate_up_to_;
  alignas(64) int32_t least_[kTileChannels], greatest_[kTileChannels], bias_[kTileChannels],
      free_from_[kTileChannels];
};

}  // namespace widthwise
