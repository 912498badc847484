#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "codegen/array_parameters.h"
#include "codegen/packed_bits.h"

namespace widthwise {

// Operand codes of one tile, in order of reduction: what the rows and columns of the array are fed.
struct TileOperands {
  int64_t reduction_length = 0;              // K >= 1
  int32_t zero_point = 0;                    // of the ifmap, a code
  std::vector<std::vector<int32_t>> ifmap;   // [rows in use][K]
  std::vector<std::vector<int32_t>> weight;  // [columns in use][K]
  std::vector<int32_t> bias;                 // [columns in use]

  int64_t outputs() const { return static_cast<int64_t>(ifmap.size() * weight.size()); }
  int64_t macs() const { return outputs() * reduction_length; }
};

// Which outputs of a layer one pass over the array computes.
struct TileChoice {
  std::vector<int64_t> pixels;    // y * ofmap_cols + x; at most `rows`
  std::vector<int64_t> channels;  // ofmap channels of one group; at most `cols`
};

// Every tile of a layer in the array's order: group, channels, pixels.
std::vector<TileChoice> all_tiles(const ArrayParameters& array, const MatmulWorkload& workload);

// A sample for a quick check: the corner tiles (which hold the padding) and the middle one, then
// tiles spread over the layer, until the next one would exceed `max_macs`; at least one.
std::vector<TileChoice> pick_tiles(const ArrayParameters& array, const MatmulWorkload& workload,
                                   int64_t max_macs);

// Gathers a tile's operands from a layer and the ifmap codes of one image, [ic, rows, cols].
// Padded taps get the zero point.
TileOperands layer_tile(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                        std::span<const int32_t> codes, const Accumulation& accumulation,
                        const TileChoice& choice);

// Made-up operands that fill the array.
enum class OperandPattern {
  kUniform,       // any code
  kExtremes,      // only the two ends of each format
  kPositiveRail,  // every product the largest there is
  kNegativeRail,  // every product the most negative there is
  kSeesaw,        // runs of the largest and of the most negative product: up and down the rails
};
inline constexpr OperandPattern kOperandPatterns[] = {
    OperandPattern::kUniform, OperandPattern::kExtremes, OperandPattern::kPositiveRail,
    OperandPattern::kNegativeRail, OperandPattern::kSeesaw};
TileOperands made_up_tile(const ArrayParameters& array, OperandPattern pattern,
                          int64_t reduction_length, int32_t zero_point, uint64_t seed);

// Every pattern at K = 1, 2^n - 1, 2^n, 2^n + 1 around the number of lanes and up to `max_length`,
// with zero points at both ends, at 0 where it is a code, and in between.
std::vector<TileOperands> made_up_tiles(const ArrayParameters& array, int64_t max_length,
                                        uint64_t seed);

// What the ports are fed in one cycle. Unused rows and lanes get the zero point, unused columns 0
// (+1 when weights are binary).
struct Beat {
  bool first = false, last = false, bias_beat = false;
  PackedBits zero_point, ifmap, weight, bias;
};
void for_each_beat(const ArrayParameters& array, const TileOperands& tile,
                   const std::function<void(const Beat&)>& visit);

}  // namespace widthwise
