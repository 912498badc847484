#pragma once
#include <cstdint>

#include "sim/byte_kernel.h"

namespace widthwise {

// Inner loops of chains that saturate after every product. Lanes are output channels; a value of
// the ifmap (its code less the zero point) meets its product's weights. A product of 0 changes no
// sum that lies within its bits, so only other values are listed. Sums live so that the machine's
// own saturation is that of `bits`:
//   kInt16: 16 bits. Products of 8-bit codes fit int16.
//   kInt16Rails: fewer. A product moves its sum towards one rail only, so the sum is kept where
//     int16 ends with that rail: sum + 2^(bits-1) in the low bits, above them 10..0 for the lower
//     and 01..1 for the upper one. To change between the two, all bits above are inverted.
//   kInt32: more. Operands are scaled so that products are by 2^(32-bits); the sum is what is left
//     without those bits (the upper rail, 2^31 - 1, has them all set, and no multiple of
//     2^(32-bits) added to it makes them carry).
enum class SaturateLanes { kInt16, kInt16Rails, kInt32 };

inline constexpr int64_t kSaturateProducts = 128;  // whose weights are spread out together, at most
inline constexpr int64_t kListGroup = 8;           // listed values added together

// How many bits ifmap and weights are scaled by for kInt32.
struct SaturateScale {
  explicit SaturateScale(int bits)
      : ifmap(32 - bits > 8 ? 32 - bits - 8 : 0), weight(32 - bits - ifmap) {}
  int ifmap, weight;  // at most 7 and 8 from 17 bits on
};

// From [products][kTileChannels] weights to the kernels' layout.
struct SpreadWeightsJob {
  SaturateLanes lanes = SaturateLanes::kInt16;
  int bits = 16;
  bool both_signs = false;  // kInt16Rails: values can be negative
  const int8_t* weights = nullptr;
  int64_t products = 0;
  int16_t* to = nullptr;  // [kSaturateProducts][2 * kTileChannels]
};

// Values of some pixels' windows: of `products` from the first offset on.
struct ListValuesJob {
  SaturateLanes lanes = SaturateLanes::kInt16;
  int bits = 16;
  bool both_signs = false;
  bool all = false;                        // kInt32: zeros, too; [count][kSaturateProducts] values
  const uint8_t* const* pixels = nullptr;  // [count]
  int64_t count = 0;
  const int32_t* offsets = nullptr;  // of quads, up to a multiple of kBlockQuads
  bool together = false;             // the bytes of every kBlockQuads lie together
  int32_t zero_byte = 0;
  int64_t products = 0;       // at most kSaturateProducts, kInt16Rails with both_signs: half of it
  int32_t* values = nullptr;  // every pixel's fill up whole groups
  int32_t* places = nullptr;  // of each value's weights, in bytes
  int32_t* groups = nullptr;  // [count]: that a pixel has
};

struct ListGroup {
  int32_t first;  // of its values
  int32_t pixel;
};
struct AddListedJob {
  SaturateLanes lanes = SaturateLanes::kInt16;
  const ListGroup* groups = nullptr;
  int64_t group_count = 0;
  const int32_t* values = nullptr;
  const int32_t* places = nullptr;
  const int16_t* weights = nullptr;
  void* sums = nullptr;  // [pixels][kTileChannels] of int16 or int32
};

// Every value of some pixels; kInt32.
struct AddAllJob {
  const int32_t* pixels = nullptr;  // [count]
  int64_t count = 0, products = 0;
  const int32_t* values = nullptr;  // [pixels][kSaturateProducts]
  const int16_t* weights = nullptr;
  int32_t* sums = nullptr;  // [pixels][kTileChannels]
};

// Between sums, [kTileChannels] of int32, and how they live.
struct SaturatedSumsJob {
  SaturateLanes lanes = SaturateLanes::kInt16;
  int bits = 16;
  void* kept = nullptr;
  const int32_t* start = nullptr;
  const int32_t* last = nullptr;  // one more addition, or null
  int32_t* sums = nullptr;
};

struct SaturateKernelTable {
  // Whether no running sum can leave its bits: whether those after every quads_per_fit quads (2, 4
  // or 8) lie `margin` within. If so, the sums are exact.
  bool (*within)(const ByteTile& tile, int32_t margin);
  void (*spread_weights)(const SpreadWeightsJob& job);
  int64_t (*list_values)(const ListValuesJob& job);  // returns how many are not 0
  void (*add_listed)(const AddListedJob& job);
  void (*add_all)(const AddAllJob& job);
  void (*begin_sums)(const SaturatedSumsJob& job);
  void (*end_sums)(const SaturatedSumsJob& job);
};

extern const SaturateKernelTable kAvx512VnniSaturateKernels;

}  // namespace widthwise
