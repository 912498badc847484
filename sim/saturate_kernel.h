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

inline constexpr int64_t kListGroup = 8;   // listed values added together
inline constexpr int64_t kMaxWidth = 2;    // tiles' channels side by side
inline constexpr int64_t kListBytes = 64;  // of a window, listed together

// How many bits ifmap and weights are scaled by for kInt32.
struct SaturateScale {
  explicit SaturateScale(int bits)
      : ifmap(32 - bits > 8 ? 32 - bits - 8 : 0), weight(32 - bits - ifmap) {}
  int ifmap, weight;  // at most 7 and 8 from 17 bits on
};

// What all steps of one layer agree on.
struct SaturateForm {
  SaturateLanes lanes = SaturateLanes::kInt32;
  int bits = 32;
  bool both_signs = false;  // values can be negative; kInt16Rails keeps -weights for them, too
  int64_t products = 0;     // worked on together: whole kListBytes

  int64_t sum_bytes() const { return lanes == SaturateLanes::kInt32 ? 4 : 2; }
  // Of one product's weights, for kTileChannels, spread out; kInt16Rails: and of the bits to
  // invert for them.
  int64_t row_bytes() const { return kTileChannels * (lanes == SaturateLanes::kInt16 ? 2 : 4); }
};

// From [count][width * kTileChannels] weights to what the additions read: rows of row_bytes() *
// width; with both_signs, from row `products` on those for negative values.
struct SpreadWeightsJob {
  SaturateForm form;
  int64_t width = 1;
  const int8_t* weights = nullptr;
  int64_t count = 0;
  int16_t* to = nullptr;
};

// Up to kListGroup values of one pixel; the rest of them is 0.
struct ListGroup {
  int32_t first;
  int32_t pixel;
};

// Values of some pixels' windows: of `products` from the first offset on.
struct ListValuesJob {
  SaturateForm form;
  const uint8_t* const* pixels = nullptr;  // [count]
  int64_t count = 0;
  const int32_t* offsets = nullptr;  // of quads, up to a multiple of kBlockQuads
  bool together = false;             // the bytes of every kBlockQuads lie together
  int32_t zero_byte = 0;
  int64_t products = 0;         // at most form.products
  bool all = false;             // kInt32: zeros, too; [count][form.products] values, no groups
  int32_t* values = nullptr;    // int16, for kInt32 scaled and below 0, else twice
  int32_t* places = nullptr;    // of each value's weights, in bytes at width 1
  ListGroup* groups = nullptr;  // pixel after pixel
  int64_t group_count = 0;      // written
};

struct AddListedJob {
  SaturateForm form;
  int64_t width = 1;
  const ListGroup* groups = nullptr;  // a pixel's lie together
  int64_t group_count = 0;
  const int32_t* values = nullptr;
  const int32_t* places = nullptr;
  const int16_t* weights = nullptr;
  void* sums = nullptr;  // [pixels][width * kTileChannels]
};

// Every value of some pixels; kInt32.
struct AddAllJob {
  SaturateForm form;
  int64_t width = 1;
  const int32_t* pixels = nullptr;  // [count]
  int64_t count = 0, products = 0;
  const int32_t* values = nullptr;  // [pixels][form.products]
  const int16_t* weights = nullptr;
  int32_t* sums = nullptr;
};

// Between sums, [kTileChannels] of int32, and how they live.
struct SaturatedSumsJob {
  SaturateForm form;
  void* kept = nullptr;
  const int32_t* start = nullptr;
  const int32_t* last = nullptr;  // one more addition, or null
  int32_t* sums = nullptr;
};

struct SaturateKernelTable {
  // Whether no running sum can leave its bits: whether those after every quads_per_fit quads (2, 4,
  // 8 or 16) lie `margin` within. If so, the sums are exact.
  bool (*within)(const ByteTile& tile, int32_t margin);
  void (*spread_weights)(const SpreadWeightsJob& job);
  int64_t (*list_values)(ListValuesJob& job);  // returns how many are not 0
  void (*add_listed)(const AddListedJob& job);
  void (*add_all)(const AddAllJob& job);
  void (*begin_sums)(const SaturatedSumsJob& job);
  void (*end_sums)(const SaturatedSumsJob& job);
};

extern const SaturateKernelTable kAvx512VnniSaturateKernels;

}  // namespace widthwise
