#pragma once
#include <cstdint>

namespace widthwise {

// Inner loops over codes as bytes: lanes are output channels, and one instruction adds four
// products, of four bytes of the ifmap that lie together (a quad) and four weights. What an ifmap
// byte stands for is (byte - its zero byte); sums are kept of the bytes as they are, and the zero
// byte's share is in the start and in `corrections`. Sums may wrap on their way: their true values
// fit int32, which the caller has proved (see ByteMatmul).
inline constexpr int64_t kLaneChannels = 16;  // output channels per vector
inline constexpr int64_t kTileVectors = 4;    // vectors of a tile
inline constexpr int64_t kTileChannels = kLaneChannels * kTileVectors;
inline constexpr int64_t kTilePixels = 6;

// At most kTilePixels pixels against up to kTileChannels channels.
struct ByteTile {
  const uint8_t* pixels[kTilePixels];  // where each pixel's window begins
  int64_t count = 0;                   // pixels
  int64_t vectors = 0;                 // of output channels
  const int32_t* offsets = nullptr;    // [quads]: of each quad from the window's begin
  const int8_t* weights = nullptr;     // [quads][vectors][kLaneChannels][4]
  int64_t quads = 0;
  const int32_t* start = nullptr;  // [vectors * kLaneChannels]
  int32_t* sums = nullptr;         // [count][kTileChannels]
};

// Codes of a tile as bytes: its sums wrapped to wrap_bits first if that is not 0. All arrays are by
// channel and have whole vectors.
struct ByteRequantizeJob {
  const int32_t* sums = nullptr;  // [count][kTileChannels]
  int64_t count = 0, channels = 0;
  int wrap_bits = 0;
  bool use_float = false;
  const float* float_multipliers = nullptr;  // use_float: rint(f32(sum) * multiplier)
  // Else: (sum * multiplier + rounding_addend) >> shift; of every vector the even channels come
  // first, then the odd ones.
  const int64_t* multipliers = nullptr;
  const int64_t* rounding_addends = nullptr;
  const int64_t* shifts = nullptr;
  // Whether sums must be limited first to those whose result fits int32 with the zero point, and
  // reaches or passes the ends of the codes.
  bool limit_sums = false;
  const int32_t* least_sums = nullptr;
  const int32_t* greatest_sums = nullptr;
  int32_t zero_point = 0, q_min = 0, q_max = 0, offset = 0;
  uint8_t* bytes = nullptr;  // [count], `stride` apart
  int64_t stride = 0;
};

struct ByteKernelTable {
  void (*exact)(const ByteTile& tile);
  void (*requantize)(const ByteRequantizeJob& job);
};

extern const ByteKernelTable kAvx512VnniByteKernels;

}  // namespace widthwise
