#pragma once
#include <algorithm>
#include <boost/align/aligned_allocator.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/accumulation.h"
#include "quant/quantized_network.h"
#include "sim/census.h"
#include "sim/kernel.h"
#include "sim/saturate_kernel.h"

namespace widthwise {

// What the kernels made of some pixels of one output channel; null where the mode does not make it.
struct PanelSums {
  const int32_t* sums = nullptr;
  const int32_t* low = nullptr;  // kCensus: extremes of the outermost chain's running sum
  const int32_t* high = nullptr;
  const int32_t* inner_low = nullptr;  // the same of a chain inside it
  const int32_t* inner_high = nullptr;
  const int32_t* counts = nullptr;  // overflowing additions
};

inline CensusRow<int32_t> census_row(const PanelSums& panel) {
  return {.sums = panel.sums,
          .low = panel.low,
          .high = panel.high,
          .inner_low = panel.inner_low,
          .inner_high = panel.inner_high};
}

// Receives the sums of one output channel, a panel of pixels at a time: `count` pixels from `first`
// on, counted over images, then rows, then columns. The arrays hold a whole panel, of which the
// rest is anything.
class PanelSink {
 public:
  virtual ~PanelSink() = default;
  virtual void panel(int64_t channel, int64_t first, int64_t count, const PanelSums& panel) = 0;
};

// Calls copy(offset in the panel, offset in the ofmap [images, channels, pixels], length) for the
// parts of a panel that lie together in the ofmap.
template <class Copy>
void for_each_part(const Window& window, int64_t channel, int64_t first, int64_t count,
                   Copy&& copy) {
  const int64_t pixels = window.ofmap_pixels();
  for (int64_t pixel = first; pixel < first + count;) {
    const int64_t image = pixel / pixels, inside = pixel % pixels;
    const int64_t length = std::min(first + count - pixel, pixels - inside);
    copy(pixel - first, (image * window.ofmap_channels + channel) * pixels + inside, length);
    pixel += length;
  }
}

// Begins with a cache line, so no vector lies across two.
template <class T>
using AlignedVector = std::vector<T, boost::alignment::aligned_allocator<T, 64>>;

// Scratch memory of one thread, grown as needed and reused from layer to layer.
struct Workspace {
  std::vector<int16_t> padded, patch;
  // The byte kernels' (see ByteIfmap).
  std::vector<uint8_t> bytes, byte_planes, magnitudes, magnitude_planes;
  AlignedVector<uint8_t> padded_bytes;
  AlignedVector<uint8_t> panels, magnitude_panels;
  const uint8_t* ifmap = nullptr;
  std::vector<const uint8_t*> window_pixels, window_magnitudes;
  std::vector<int32_t> looks;
  AlignedVector<int32_t> block_sums, block_low, block_high;
  // Of saturating chains (see ByteSaturate).
  std::vector<uint8_t> left;
  std::vector<int32_t> values, places, left_pixels;
  std::vector<ListGroup> groups, left_groups;
  AlignedVector<uint8_t> kept_sums;
  AlignedVector<int16_t> spread_weights;
  std::vector<int32_t> planes, sums, low, high, inner_low, inner_high, counts, moved;
  std::vector<PixelRun> runs;
};

// The largest magnitude that any partial sum of any channel can have, whatever the data and the
// order, bias included; kInt32Limit for all that reach it.
inline constexpr int64_t kInt32Limit = int64_t{1} << 31;
int64_t sum_limit(const QuantizedLayer& layer, const TensorQuantization& ifmap);

// [chain all] or [tree T, chain all].
bool has_one_fitted_chain(const Accumulation& accumulation);
// What a census covers: one or two chains, trees only before the first one.
bool suits_census(const Accumulation& accumulation);

// A matmul layer packed for the kernels in one mode: bit-identical to reference_matmul.
class PackedMatmul {
 public:
  // Nothing when the fast path cannot be exact for this layer and mode: overflow policies other
  // than wrap and saturate, an innermost chain whose policy is not the mode's, more than
  // kMostOuterStages stages around it, operands beyond int16, or sums that may leave int32. The
  // caller then takes the reference. kExact ignores the stages; the others fit or watch as they
  // say.
  static std::optional<PackedMatmul> pack(const QuantizedLayer& layer,
                                          const TensorQuantization& ifmap,
                                          const Accumulation& accumulation, KernelMode mode,
                                          const KernelTable& kernels);

  // codes: [images, ic, rows, cols].
  void run(std::span<const int32_t> codes, int64_t images, Workspace& workspace,
           PanelSink& sink) const;

 private:
  PackedMatmul() = default;
  void pad(std::span<const int32_t> codes, int64_t images, std::vector<int16_t>& padded) const;
  int64_t add_runs(int64_t first_pixel, int64_t end_pixel, std::vector<PixelRun>& runs) const;

  MatmulWorkload workload_;
  KernelMode mode_ = KernelMode::kExact;
  const KernelTable* kernels_ = nullptr;
  int32_t zero_point_ = 0;
  int bits_ = 32;
  int64_t steps_ = 0, steps_per_fit_ = 1, additions_per_sum_ = 0;
  std::vector<OuterStage> outer_;
  int64_t padded_rows_ = 0, padded_cols_ = 0;
  std::vector<int16_t> weights_;       // [oc][steps][2]
  std::vector<int64_t> tap_offsets_;   // [steps][2] within a group's channels of the padded ifmap
  std::vector<int32_t> start_, last_;  // [oc]; last_ is empty unless the bias is added last
};

}  // namespace widthwise
