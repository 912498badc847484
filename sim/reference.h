#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/accumulation.h"
#include "core/workload.h"
#include "quant/quantized_network.h"

namespace widthwise {

// The normative arithmetic of an accelerator, scalar and slow. Every fast path, timing model and
// RTL block is compared with it. All integers are exact: sums of up to kMostProducts products of
// 16-bit operands fit in 64 bits. Longer reductions are refused by who runs them.
inline constexpr int64_t kMostProducts = int64_t{1} << 24;

// One output's reduction.
struct Reduction {
  int64_t value = 0;           // of the outermost chain after the last addition
  int64_t overflow_count = 0;  // additions that did not fit, over all chains
};

// Reduces the products of one output, given in the order of reduction, through the stages.
Reduction reduce(const Accumulation& accumulation, std::span<const int64_t> products, int64_t bias);

// Where reduction step k of a matmul reads: the channel within the group and the kernel's tap.
struct Tap {
  int64_t channel, row, col;
};
std::vector<Tap> reduction_taps(const MatmulWorkload& workload, const Accumulation& accumulation);

// Sums of one matmul layer over one image, [oc, rows, cols] as the ofmap.
struct LayerSums {
  std::vector<int64_t> accumulators;
  std::vector<int64_t> overflow_counts;  // additions that did not fit, per output
};

// Product k is (ifmap code - its zero point) * (weight code - its zero point); a padded tap's is 0.
// codes: [ic, rows, cols]; weights [oc, ic / groups, kernel rows, kernel cols]; bias [oc];
// weight zero points: none (all 0), one, or [oc].
LayerSums reference_matmul(const MatmulWorkload& workload, std::span<const int32_t> codes,
                           int32_t ifmap_zero_point, std::span<const int32_t> weights,
                           std::span<const int32_t> bias, const Accumulation& accumulation,
                           std::span<const int32_t> weight_zero_points = {});

// Extremes of the exact running sums, after every addition, of the outermost chain and of a chain
// inside it, and the exact final sums; [oc, rows, cols]. What a census rests on: for one or two
// chains, with trees only before the first one.
struct PrefixExtremes {
  std::vector<int64_t> sums, low, high;
  std::vector<int64_t> inner_low, inner_high;  // over all sums of the inner chain; empty without
};
PrefixExtremes reference_extremes(const MatmulWorkload& workload, std::span<const int32_t> codes,
                                  int32_t ifmap_zero_point, std::span<const int32_t> weights,
                                  std::span<const int32_t> bias, const Accumulation& accumulation,
                                  std::span<const int32_t> weight_zero_points = {});

}  // namespace widthwise
