#pragma once
#include <cstdint>

namespace widthwise {

// Inner loops over codes as bytes: lanes are output channels, and one instruction adds four
// products, of four bytes of the ifmap that lie together (a quad) and four weights. What an ifmap
// byte stands for is (byte - its zero byte); sums are kept of the bytes as they are, and the zero
// byte's share is in the start and in `corrections`. Sums may wrap on their way: their true values
// fit int32, which the caller has proved (see ByteMatmul).
inline constexpr int64_t kLaneChannels = 16;  // output channels per vector
inline constexpr int64_t kTileVectors = 4;    // vectors of a tile, at most
inline constexpr int64_t kTileChannels = kLaneChannels * kTileVectors;
// Of a tile at most, by the registers of its kernel.
inline constexpr int64_t kTilePixels = 6, kSaturatePixels = 5, kChainPixels = 5,
                         kTreeCensusPixels = 4;
inline constexpr int64_t kPanelPixels = 16;
// What no running sum of a tree or a chain reaches, rails included; of a chain, twice the sum.
inline constexpr int32_t kComparableLimit = 1 << 29;
// Of a chain, between two points: tighter bounds where sums are smaller.
inline constexpr int64_t kShortPointQuads = 2, kLongPointQuads = 4;
inline constexpr int64_t kBlockQuads = 16;    // a multiple of both
inline constexpr int64_t kCensusVectors = 2;  // of a part; of a chain, 1
// Of four weights, for the sum behind them and its extremes on the way, two for the first two
// products and two for the others: all four; the first two, of which the second not negative, or
// not positive; all, of which the fourth not negative, or not positive.
inline constexpr int64_t kExtremesStreams = 5;

// Calls visit(first, count) for tiles of at most `most`, of equal size or one less.
template <class Visit>
inline void for_each_tile(int64_t pixels, int64_t most, Visit&& visit) {
  const int64_t tiles = (pixels + most - 1) / most;
  for (int64_t t = 0, first = 0; t < tiles; ++t) {
    const int64_t end = pixels * (t + 1) / tiles;
    visit(first, end - first);
    first = end;
  }
}

// Some pixels against up to kTileChannels channels. Arrays by channel have whole vectors; results
// are [count][kTileChannels].
struct ByteTile {
  const uint8_t* const* pixels = nullptr;  // [count]: where each pixel's window begins
  int64_t count = 0;                       // 1..kTilePixels
  int64_t vectors = 0;                     // of output channels, 1..kTileVectors
  const int32_t* offsets = nullptr;        // [quads]: of each quad from the window's begin
  // Part after part of at most kTileVectors vectors, for a census of trees kCensusVectors:
  // [quads][vectors of the part][kLaneChannels][4].
  const int8_t* weights = nullptr;
  int64_t quads = 0;
  const int32_t* start = nullptr;  // before the first addition
  int32_t* sums = nullptr;

  // Trees: a fitted addition after every quads_per_fit quads, and one of `last` if there is one.
  int64_t quads_per_fit = 1;
  int32_t zero_byte = 0;
  const int32_t* corrections =
      nullptr;  // [fits][vectors * kLaneChannels] of the zero byte, or null
  const int32_t* last = nullptr;
  int bits = 32;           // of the running sum if it is saturated, 2..31
  int32_t* low = nullptr;  // census: extremes of the running sum
  int32_t* high = nullptr;
};

// Some pixels of up to kTileChannels channels, each of which has only its own ifmap channel. A quad
// is four taps of kTileChannels channels' bytes. Arrays by channel are in the order that
// interleaving four vectors of bytes gives: see depthwise_lane.
enum class DepthwiseMode { kExact, kSaturate, kCensus };
struct DepthwiseTile {
  const uint8_t* const* pixels = nullptr;  // [count]: where each pixel's window begins
  int64_t count = 0;
  int64_t channel = 0;               // bytes from there to the first channel
  const int32_t* offsets = nullptr;  // [quads][4]: of each tap from the window's begin
  const int8_t* weights = nullptr;   // [quads][kTileChannels][4]
  int64_t quads = 0;
  int64_t quads_per_fit = 1;
  bool one_tap = false;  // of every quad only the first tap counts
  // kExact: kColumnQuads quads, each a column of the window, so many bytes apart, as are pixels
  // side by side; 0: they are not.
  int64_t column_bytes = 0;
  const int32_t* start = nullptr;
  const int32_t* corrections = nullptr;  // [fits][kTileChannels] of the zero byte, or null
  const int32_t* last = nullptr;         // one more addition, or null
  int bits = 32;                         // kSaturate
  int32_t* sums = nullptr;               // results: [count][kTileChannels], channels in order
  int32_t* low = nullptr;                // kCensus
  int32_t* high = nullptr;
};
inline constexpr int64_t kColumnQuads = 3;
// Where a tile's channel is among the lanes of four interleaved vectors.
constexpr int64_t depthwise_lane(int64_t channel) {
  return channel % 16 / 4 * 16 + channel / 16 * 4 + channel % 4;
}

// Bytes of up to kPanelPixels pixels' windows copied out of planes: [kPanelPixels][stride], of
// which quads * 4 are written, and up to a multiple of 64.
struct PanelRun {
  int64_t offset = 0;                  // of the run's first pixel
  bool as_it_lies = false;             // 16 bytes from there are the panel's pixels
  uint8_t shuffle[kPanelPixels] = {};  // else byte by pixel; 0x80: another run's pixel
};
struct CopyPanelJob {
  const uint8_t* planes = nullptr;
  const int64_t* offsets = nullptr;  // [quads][4] of a slot's plane and tap
  int64_t quads = 0;
  const PanelRun* runs = nullptr;
  int64_t run_count = 0;
  uint8_t* panel = nullptr;
  int64_t stride = 0;
};

// Biases that are preloaded, where some do not fit every width (see FittedHits): there the census
// needs more than the width of the running sums. Arrays [kTileChannels]; null: all fit.
struct FittedStarts {
  const int32_t* bias = nullptr;
  // Half of 2^(the widest width that the bias does not fit); 0: it fits all.
  const int32_t* free_from = nullptr;
};

// The extremes of a chain's running sum. The sum and the sum of magnitudes are taken down after
// every few quads: between two such points the running sum rises by what is positive among the
// products, at most, and falls by the rest. Of these bounds a block keeps the extremes. Only where
// the bounds could change what a census says are the block's products added one by one. So tile.low
// and tile.high come out as values that the sum reached; the true extremes need no other width, and
// do not move the channel's extremes.
struct ChainJob {
  // start: without the zero byte's share. low, high and sums are written. weights: of every part
  // [vectors][quads][2][kLaneChannels][4]: weights, and those above 0, or 0; if the zero byte is
  // not 0, -|weight|.
  ByteTile tile;
  const uint8_t* const* magnitudes = nullptr;  // [count]: as pixels, of |byte - zero byte|; or
                                               // null: the zero byte is 0
  int64_t point_quads = kLongPointQuads;       // between two points
  const int8_t* rows = nullptr;  // weights once more: [channels][blocks][kBlockQuads][4]
  bool together = false;         // the bytes of every block lie together
  // [points][vectors * kLaneChannels] of all quads up to every point, or null.
  const int32_t* corrections = nullptr;
  const int32_t* least = nullptr;  // of each channel so far
  const int32_t* greatest = nullptr;
  FittedStarts starts;
  // Scratch: [blocks + 1][kChainPixels][kLaneChannels]; as many looks and two vectors more.
  int32_t* block_sums = nullptr;
  int32_t* block_low = nullptr;
  int32_t* block_high = nullptr;
  int32_t* looks = nullptr;
};

// The widths that a tile's running and final sums need, 1..32, and the extremes of its channels.
struct TileCensusJob {
  const int32_t* sums = nullptr;  // [count][kTileChannels]
  const int32_t* low = nullptr;
  const int32_t* high = nullptr;
  int64_t count = 0;
  uint8_t* running = nullptr;  // [count][kTileChannels]
  uint8_t* final = nullptr;
  int32_t* least = nullptr;  // [kTileChannels], lowered and raised
  int32_t* greatest = nullptr;
  FittedStarts starts;
  uint8_t* wrap_up_to = nullptr;  // [count][kTileChannels] of FittedHits, unless all biases fit
  uint8_t* wrap_also = nullptr;
  uint8_t* saturate_up_to = nullptr;
};

// Counts widths by channel: at most 255 pixels.
inline constexpr int64_t kCensusWidths = 37;  // 0..33, and some room
struct CountWidthsJob {
  const uint8_t* widths = nullptr;  // [count][kTileChannels]
  int64_t count = 0;                // 1..255
  int first = 0, last = 0;          // the widths that there are; written
  uint8_t* counts = nullptr;        // [kCensusWidths][kTileChannels], of which those are written
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

struct SaturateKernelTable;

struct ByteKernelTable {
  void (*exact)(const ByteTile& tile);
  void (*tree_saturate)(const ByteTile& tile);
  // Whether no running sum leaves its bits; if so, the sums are those of tree_saturate.
  bool (*tree_within)(const ByteTile& tile);
  void (*tree_census)(const ByteTile& tile);
  // Of a chain whose zero byte is 0; weights: [vectors][quads][kExtremesStreams][kLaneChannels][4].
  void (*chain_extremes)(const ByteTile& tile);
  void (*chain_census)(const ChainJob& job);
  void (*depthwise)(DepthwiseMode mode, const DepthwiseTile& tile);
  void (*census)(const TileCensusJob& job);
  void (*count_widths)(CountWidthsJob& job);
  void (*transpose)(const uint8_t* from, int64_t rows, int64_t cols, uint8_t* to);
  void (*copy_panel)(const CopyPanelJob& job);
  void (*requantize)(const ByteRequantizeJob& job);
  const SaturateKernelTable* saturate;
};

extern const ByteKernelTable kAvx512VnniByteKernels;

}  // namespace widthwise
