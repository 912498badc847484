#include "sim/byte_kernel.h"
#include "sim/byte_tile_avx512_vnni.h"
#include "sim/byte_vectors.h"
#include "sim/saturate_kernel.h"

namespace widthwise {
namespace {

// Needs one bit less than the value in two's complement.
inline Vec magnitude(Vec v) { return _mm512_xor_si512(v, _mm512_srai_epi32(v, 31)); }
// Running sums that are compared carry this offset, which makes them the bits of positive, normal
// floats: those are in the same order, and two units of the machine compare floats, one integers.
// |sum| < kComparableLimit.
constexpr int32_t kOffset = 1 << 30;
inline Vec smaller(Vec a, Vec b) {
  return _mm512_castps_si512(_mm512_min_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
}
inline Vec greater(Vec a, Vec b) {
  return _mm512_castps_si512(_mm512_max_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
}

struct Exact {
  template <int kPixels, int kVectors>
  static bool run(const Part& part) {
    const ByteTile& tile = part.tile;
    TileSums<kPixels, kVectors> sum;
    const uint8_t* pixel[kPixels];
    begin_part(part, sum, pixel);
    const int8_t* weights = part.weights();
    for (int64_t quad = 0; quad < tile.quads; ++quad, weights += kVectors * 64)
      add_quad(sum, pixel, tile.offsets[quad], weights);
    store_part(part, sum, tile.sums);
    return true;
  }
};

template <int kFit, bool kCorrected>
struct TreeSaturate {
  template <int kPixels, int kVectors>
  static bool run(const Part& part) {
    TileSums<kPixels, kVectors> sum;
    const int32_t half = 1 << (part.tile.bits - 1);
    const Vec low = _mm512_set1_epi32(kOffset - half), high = _mm512_set1_epi32(kOffset + half - 1);
    run_tree<kFit, kCorrected>(part, kOffset, sum, [&] {
      UNROLL for (int p = 0; p < kPixels; ++p) {
        UNROLL for (int v = 0; v < kVectors; ++v) {
          sum.v[p][v] = smaller(greater(sum.v[p][v], low), high);
        }
      }
    });
    return true;
  }
};

// Sums that lie `half` higher have bits above their own exactly if they leave those.
template <int kFit, bool kCorrected>
struct TreeWithin {
  template <int kPixels, int kVectors>
  static bool run(const Part& part) {
    TileSums<kPixels, kVectors> sum;
    Vec any[kVectors];
    UNROLL for (int v = 0; v < kVectors; ++v) any[v] = _mm512_setzero_si512();
    const int bits = part.tile.bits;
    run_tree<kFit, kCorrected>(part, 1 << (bits - 1), sum, [&] {
      UNROLL for (int v = 0; v < kVectors; ++v) {
        UNROLL for (int p = 0; p < kPixels; p += 2) {
          const int other = p + 1 < kPixels ? p + 1 : p;
          any[v] = _mm512_ternarylogic_epi32(any[v], sum.v[p][v], sum.v[other][v], 0xFE);
        }
      }
    });
    Vec all = any[0];
    UNROLL for (int v = 1; v < kVectors; ++v) all = _mm512_or_si512(all, any[v]);
    return _mm512_test_epi32_mask(all, _mm512_set1_epi32(static_cast<int32_t>(~0U << bits))) == 0;
  }
};

template <int kFit, bool kCorrected>
struct TreeCensus {
  template <int kPixels, int kVectors>
  static bool run(const Part& part) {
    TileSums<kPixels, kVectors> sum, low, high;
    UNROLL for (int p = 0; p < kPixels; ++p) {
      UNROLL for (int v = 0; v < kVectors; ++v) {
        low.v[p][v] = _mm512_set1_epi32(kOffset + kComparableLimit);
        high.v[p][v] = _mm512_set1_epi32(kOffset - kComparableLimit);
      }
    }
    run_tree<kFit, kCorrected>(part, kOffset, sum, [&] {
      UNROLL for (int p = 0; p < kPixels; ++p) {
        UNROLL for (int v = 0; v < kVectors; ++v) {
          low.v[p][v] = smaller(low.v[p][v], sum.v[p][v]);
          high.v[p][v] = greater(high.v[p][v], sum.v[p][v]);
        }
      }
    });
    store_without_offset(part, kOffset, low, part.tile.low);
    store_without_offset(part, kOffset, high, part.tile.high);
    return true;
  }
};

template <template <int, bool> class Tree, int kMost, int kVectors>
bool run_tree_parts(const ByteTile& tile) {
  const auto run = [&]<int kFit>() {
    return tile.zero_byte != 0 ? run_parts<Tree<kFit, true>, kMost, kVectors>(tile)
                               : run_parts<Tree<kFit, false>, kMost, kVectors>(tile);
  };
  switch (tile.quads_per_fit) {
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 4:
      return run.template operator()<4>();
    default:
      return run.template operator()<0>();
  }
}

// A chain after every product. Bytes are not negative, so a product has the sign of its weight, and
// of two of them one is the higher sum and the other the lower one: which, the weights know.
struct ChainExtremes {
  template <int kPixels, int kVectors>
  static bool run(const Part& part) {
    static_assert(kVectors == 1);
    const ByteTile& tile = part.tile;
    TileSums<kPixels, 1> sum, low, high;
    const uint8_t* pixel[kPixels];
    begin_part(part, sum, pixel);
    UNROLL for (int p = 0; p < kPixels; ++p) {
      sum.v[p][0] = _mm512_add_epi32(sum.v[p][0], _mm512_set1_epi32(kOffset));
      low.v[p][0] = _mm512_set1_epi32(kOffset + kComparableLimit);
      high.v[p][0] = _mm512_set1_epi32(kOffset - kComparableLimit);
    }
    const int8_t* weights = tile.weights + part.vector * 64 * tile.quads * kExtremesStreams;
    for (int64_t quad = 0; quad < tile.quads; ++quad, weights += kExtremesStreams * 64) {
      Vec w[kExtremesStreams];
      UNROLL for (int i = 0; i < kExtremesStreams; ++i) w[i] = load(weights + i * 64);
      UNROLL for (int p = 0; p < kPixels; ++p) {
        const Vec a = broadcast_quad(pixel[p] + tile.offsets[quad]), s = sum.v[p][0];
        sum.v[p][0] = _mm512_dpbusd_epi32(s, a, w[0]);
        high.v[p][0] = greater(high.v[p][0], _mm512_dpbusd_epi32(s, a, w[1]));
        low.v[p][0] = smaller(low.v[p][0], _mm512_dpbusd_epi32(s, a, w[2]));
        high.v[p][0] = greater(high.v[p][0], _mm512_dpbusd_epi32(s, a, w[3]));
        low.v[p][0] = smaller(low.v[p][0], _mm512_dpbusd_epi32(s, a, w[4]));
      }
    }
    if (tile.last != nullptr) {
      UNROLL for (int p = 0; p < kPixels; ++p) {
        sum.v[p][0] = _mm512_add_epi32(sum.v[p][0], load(tile.last + part.vector * kLaneChannels));
        high.v[p][0] = greater(high.v[p][0], sum.v[p][0]);
        low.v[p][0] = smaller(low.v[p][0], sum.v[p][0]);
      }
    }
    store_without_offset(part, kOffset, sum, tile.sums);
    store_without_offset(part, kOffset, low, tile.low);
    store_without_offset(part, kOffset, high, tile.high);
    return true;
  }
};

void exact(const ByteTile& tile) { run_parts<Exact, kTilePixels, kTileVectors>(tile); }
void tree_saturate(const ByteTile& tile) {
  run_tree_parts<TreeSaturate, kSaturatePixels, kTileVectors>(tile);
}
bool tree_within(const ByteTile& tile) {
  return run_tree_parts<TreeWithin, kSaturatePixels, kTileVectors>(tile);
}
void tree_census(const ByteTile& tile) {
  run_tree_parts<TreeCensus, kTreeCensusPixels, kCensusVectors>(tile);
}

void chain_extremes(const ByteTile& tile) { run_parts<ChainExtremes, kTilePixels, 1>(tile); }

// --- chains ---

// Block after block of kCensusVectors vectors: [blocks][kTilePixels][kCensusVectors *
// kLaneChannels].
inline int64_t block_at(int64_t block, int64_t p, int64_t v) {
  return ((block * kTilePixels + p) * kCensusVectors + v) * kLaneChannels;
}

// The quads between two points of a chain: sums go on, magnitudes begin at 0; [kPixels][kVectors]
// in memory, for g++ spills what lives in registers across a point. Never inlined for the same
// reason.
template <bool kZeroByte, int kPixels, int kVectors>
[[gnu::noinline]] void add_quads(const ChainJob& job, int64_t vector, int64_t first, int64_t end,
                                 int32_t* sums, int32_t* bounds) {
  const ByteTile& tile = job.tile;
  const int64_t stride = 2 * kVectors * 64;
  const int8_t* weights = tile.weights + vector * 2 * 64 * tile.quads + first * stride;
  const int64_t to_bounds = kVectors * 64;
  TileSums<kPixels, kVectors> sum, bound;
  const uint8_t *pixel[kPixels], *magnitude[kPixels];
  UNROLL for (int p = 0; p < kPixels; ++p) {
    pixel[p] = tile.pixels[p];
    if constexpr (kZeroByte) magnitude[p] = job.magnitudes[p];
    UNROLL for (int v = 0; v < kVectors; ++v) {
      sum.v[p][v] = load(sums + block_at(0, p, v));
      bound.v[p][v] = _mm512_setzero_si512();
    }
  }
  for (int64_t quad = first; quad < end; ++quad, weights += stride) {
    const int64_t offset = tile.offsets[quad];
    if constexpr (kZeroByte) {
      add_quad(sum, pixel, offset, weights);
      add_quad(bound, magnitude, offset, weights + to_bounds);
    } else {
      Vec w[kVectors], b[kVectors];
      UNROLL for (int v = 0; v < kVectors; ++v) {
        w[v] = load(weights + v * 64);
        b[v] = load(weights + to_bounds + v * 64);
      }
      UNROLL for (int p = 0; p < kPixels; ++p) {
        const Vec a = broadcast_quad(pixel[p] + offset);
        UNROLL for (int v = 0; v < kVectors; ++v) {
          sum.v[p][v] = _mm512_dpbusd_epi32(sum.v[p][v], a, w[v]);
          bound.v[p][v] = _mm512_dpbusd_epi32(bound.v[p][v], a, b[v]);
        }
      }
    }
  }
  UNROLL for (int p = 0; p < kPixels; ++p) {
    UNROLL for (int v = 0; v < kVectors; ++v) {
      store(sums + block_at(0, p, v), sum.v[p][v]);
      store(bounds + block_at(0, p, v), bound.v[p][v]);
    }
  }
}

// Sums behind every block (those before the first come first), and the extremes of twice the bounds
// inside it. kZeroByte: the zero byte is not 0, so magnitudes are other bytes than the ifmap's.
template <bool kZeroByte, int kPixels, int kVectors>
void chain_blocks(const ChainJob& job, int64_t vector) {
  const ByteTile& tile = job.tile;
  const int64_t quads = tile.quads;
  const int32_t* corrections = kZeroByte ? job.corrections + vector * kLaneChannels : nullptr;
  int32_t *sums = job.block_sums, *low = job.block_low, *high = job.block_high;
  constexpr int64_t kSize = kTilePixels * kCensusVectors * kLaneChannels;
  alignas(64) int32_t raw[kSize], bounds[kSize], before[kSize];
  for (int p = 0; p < kPixels; ++p) {
    for (int v = 0; v < kVectors; ++v) {
      const Vec start = load(tile.start + (vector + v) * kLaneChannels);
      const int64_t at = block_at(0, p, v);
      store(raw + at, start);
      store(before + at, start);
      store(sums + at, start);
    }
  }
  for (int64_t block = 0; block < quads; block += kBlockQuads) {
    const int64_t end = block + kBlockQuads < quads ? block + kBlockQuads : quads;
    sums += block_at(1, 0, 0);
    for (int64_t quad = block; quad < end; quad += kPointQuads) {
      const int64_t point = quad + kPointQuads < end ? quad + kPointQuads : end;
      add_quads<kZeroByte, kPixels, kVectors>(job, vector, quad, point, raw, bounds);
      UNROLL for (int p = 0; p < kPixels; ++p) {
        UNROLL for (int v = 0; v < kVectors; ++v) {
          const int64_t at = block_at(0, p, v);
          Vec behind = load(raw + at);
          if constexpr (kZeroByte) {
            behind = _mm512_add_epi32(behind, load(corrections + v * kLaneChannels));
          }
          const Vec middle = _mm512_add_epi32(load(before + at), behind);
          const Vec bound = load(bounds + at);
          Vec below = _mm512_add_epi32(middle, bound), above = _mm512_sub_epi32(middle, bound);
          if (quad != block) {
            below = _mm512_min_epi32(below, load(low + at));
            above = _mm512_max_epi32(above, load(high + at));
          }
          store(low + at, below);
          store(high + at, above);
          store(before + at, behind);
          if (point == end) store(sums + at, behind);
        }
      }
      if constexpr (kZeroByte) corrections += tile.vectors * kLaneChannels;
    }
    low += block_at(1, 0, 0);
    high += block_at(1, 0, 0);
  }
}

// What a running sum may reach without changing what a census says: twice the limits, rounded
// outwards.
struct Freedom {
  Vec twice_low, twice_high;
};
inline Freedom freedom(const ChainJob& job, int64_t channel, Vec low, Vec high) {
  const Vec largest = _mm512_or_si512(magnitude(low), magnitude(high));
  const Vec width_high = _mm512_srlv_epi32(_mm512_set1_epi32(-1), _mm512_lzcnt_epi32(largest));
  const Vec width_low = _mm512_xor_si512(width_high, _mm512_set1_epi32(-1));
  Vec free_high =
      _mm512_min_epi32(width_high, _mm512_max_epi32(high, load(job.greatest + channel)));
  Vec free_low = _mm512_max_epi32(width_low, _mm512_min_epi32(low, load(job.least + channel)));
  const __mmask16 to_know =
      _mm512_cmplt_epi32_mask(_mm512_sub_epi32(high, low), load(job.exact_below + channel));
  free_high = _mm512_mask_mov_epi32(free_high, to_know, high);
  free_low = _mm512_mask_mov_epi32(free_low, to_know, low);
  const Vec one = _mm512_set1_epi32(1);
  return {_mm512_sub_epi32(_mm512_add_epi32(free_low, free_low), one),
          _mm512_add_epi32(_mm512_add_epi32(free_high, free_high), one)};
}

// A block of an output as one number: block, pixel, lane of the kCensusVectors vectors.
constexpr int kLookBlock = 8, kLookPixel = 5;

// Sums, and low and high from the ends of the blocks; returns how many looks are listed then.
int64_t list_looks(const ChainJob& job, int64_t p, int64_t vector, int64_t v, int64_t looks) {
  const ByteTile& tile = job.tile;
  const int64_t channel = (vector + v) * kLaneChannels, at = p * kTileChannels + channel;
  const int64_t blocks = (tile.quads + kBlockQuads - 1) / kBlockQuads;
  const int32_t* sums = job.block_sums + block_at(1, p, v);
  Vec low = load(sums), high = low, sum = low;
  for (int64_t block = 1; block < blocks; ++block) {
    sum = load(sums + block_at(block, 0, 0));
    low = _mm512_min_epi32(low, sum);
    high = _mm512_max_epi32(high, sum);
  }
  if (tile.last != nullptr) {
    sum = _mm512_add_epi32(sum, load(tile.last + channel));
    low = _mm512_min_epi32(low, sum);
    high = _mm512_max_epi32(high, sum);
  }
  store(tile.sums + at, sum);
  store(tile.low + at, low);
  store(tile.high + at, high);
  const Freedom free = freedom(job, channel, low, high);
  Vec look = _mm512_add_epi32(
      _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
      _mm512_set1_epi32(static_cast<int32_t>(p << kLookPixel | v * kLaneChannels)));
  const Vec next = _mm512_set1_epi32(1 << kLookBlock);
  const int32_t *lows = job.block_low + block_at(0, p, v),
                *highs = job.block_high + block_at(0, p, v);
  for (int64_t block = 0; block < blocks; ++block) {
    // Negative where a sum inside the block could leave its freedom.
    const Vec above = _mm512_sub_epi32(free.twice_high, load(highs + block_at(block, 0, 0)));
    const Vec below = _mm512_sub_epi32(load(lows + block_at(block, 0, 0)), free.twice_low);
    const __mmask16 lanes = _mm512_movepi32_mask(_mm512_or_si512(above, below));
    store(job.looks + looks, _mm512_maskz_compress_epi32(lanes, look));  // no branch: too random
    looks += __builtin_popcount(lanes);
    look = _mm512_add_epi32(look, next);
  }
  return looks;
}

// [16][16] dwords: v[i] becomes column i.
inline void transpose_dwords(Vec (&v)[16]) {
  Vec t[16];
  UNROLL for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    v[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    v[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    v[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    v[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xDD);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

// Sixteen blocks of outputs, one per lane: their sums after every product.
template <bool kZeroByte>
void look_closely(const ChainJob& job, int64_t vector, const int32_t* looks) {
  const ByteTile& tile = job.tile;
  const int64_t blocks = (tile.quads + kBlockQuads - 1) / kBlockQuads;
  const int8_t* rows = job.rows + vector * kLaneChannels * blocks * kBlockQuads * 4;
  Vec a[16], w[16];
  alignas(64) int32_t before[16], least[16], greatest[16];
  UNROLL for (int i = 0; i < 16; ++i) {
    const int64_t block = looks[i] >> kLookBlock,
                  p = (looks[i] & ((1 << kLookBlock) - 1)) >> kLookPixel,
                  lane = looks[i] & ((1 << kLookPixel) - 1);
    const int32_t* offsets = tile.offsets + block * kBlockQuads;
    a[i] = job.together ? load(tile.pixels[p] + *offsets)
                        : _mm512_i32gather_epi32(load(offsets), tile.pixels[p], 1);
    w[i] = load(rows + (lane * blocks + block) * kBlockQuads * 4);
    before[i] = job.block_sums[block_at(block, p, 0) + lane];
  }
  transpose_dwords(a);
  transpose_dwords(w);
  const Vec z = _mm512_set1_epi8(static_cast<char>(job.tile.zero_byte));
  Vec sum = load(before), low = _mm512_set1_epi32(INT32_MAX), high = _mm512_set1_epi32(INT32_MIN);
  UNROLL for (int quad = 0; quad < 16; ++quad) {
    // With the first products of the quad.
    const auto with = [&](uint64_t bytes) {
      const Vec some = _mm512_maskz_mov_epi8(bytes, w[quad]);
      const Vec added = _mm512_dpbusd_epi32(sum, a[quad], some);
      if (!kZeroByte) return added;
      return _mm512_sub_epi32(added, _mm512_dpbusd_epi32(_mm512_setzero_si512(), z, some));
    };
    const Vec whole = with(~uint64_t{0});
    const Vec one = with(0x1111111111111111), two = with(0x3333333333333333),
              three = with(0x7777777777777777);
    low = _mm512_min_epi32(low, _mm512_min_epi32(one, _mm512_min_epi32(two, three)));
    high = _mm512_max_epi32(high, _mm512_max_epi32(one, _mm512_max_epi32(two, three)));
    low = _mm512_min_epi32(low, whole);
    high = _mm512_max_epi32(high, whole);
    sum = whole;
  }
  store(least, low);
  store(greatest, high);
  for (int i = 0; i < 16; ++i) {
    const int64_t p = (looks[i] & ((1 << kLookBlock) - 1)) >> kLookPixel,
                  lane = looks[i] & ((1 << kLookPixel) - 1);
    const int64_t at = p * kTileChannels + vector * kLaneChannels + lane;
    tile.low[at] = least[i] < tile.low[at] ? least[i] : tile.low[at];
    tile.high[at] = greatest[i] > tile.high[at] ? greatest[i] : tile.high[at];
  }
}

template <bool kZeroByte>
void look_at_all(const ChainJob& job, int64_t vector, int64_t looks) {
  for (int64_t i = looks; i < looks + 15 && looks > 0; ++i) job.looks[i] = job.looks[looks - 1];
  for (int64_t i = 0; i < looks; i += 16) look_closely<kZeroByte>(job, vector, job.looks + i);
}

template <bool kZeroByte, int kVectors>
void chain_blocks_of(const ChainJob& job, int64_t vector) {
  switch (job.tile.count) {
    case 1:
      return chain_blocks<kZeroByte, 1, kVectors>(job, vector);
    case 2:
      return chain_blocks<kZeroByte, 2, kVectors>(job, vector);
    case 3:
      return chain_blocks<kZeroByte, 3, kVectors>(job, vector);
    case 4:
      return chain_blocks<kZeroByte, 4, kVectors>(job, vector);
    case 5:
      return chain_blocks<kZeroByte, 5, kVectors>(job, vector);
    default:
      return chain_blocks<kZeroByte, 6, kVectors>(job, vector);
  }
}

void chain_census(const ChainJob& job) {
  const bool zero_byte = job.tile.zero_byte != 0;
  for (int64_t vector = 0; vector < job.tile.vectors; vector += kCensusVectors) {
    const bool both = vector + 1 < job.tile.vectors;
    if (zero_byte) {
      both ? chain_blocks_of<true, 2>(job, vector) : chain_blocks_of<true, 1>(job, vector);
    } else {
      both ? chain_blocks_of<false, 2>(job, vector) : chain_blocks_of<false, 1>(job, vector);
    }
    int64_t looks = 0;
    for (int64_t p = 0; p < job.tile.count; ++p) {
      for (int64_t v = 0; v < (both ? 2 : 1); ++v) looks = list_looks(job, p, vector, v, looks);
    }
    zero_byte ? look_at_all<true>(job, vector, looks) : look_at_all<false>(job, vector, looks);
  }
}

// --- depthwise ---

// Four interleaved vectors back to channels in order.
inline void store_in_order(int32_t* to, const Vec* v) {
  const Vec a = _mm512_shuffle_i32x4(v[0], v[1], 0x44), b = _mm512_shuffle_i32x4(v[0], v[1], 0xEE),
            c = _mm512_shuffle_i32x4(v[2], v[3], 0x44), d = _mm512_shuffle_i32x4(v[2], v[3], 0xEE);
  store(to, _mm512_shuffle_i32x4(a, c, 0x88));
  store(to + 16, _mm512_shuffle_i32x4(a, c, 0xDD));
  store(to + 32, _mm512_shuffle_i32x4(b, d, 0x88));
  store(to + 48, _mm512_shuffle_i32x4(b, d, 0xDD));
}

template <DepthwiseMode kMode>
void depthwise_pixels(const DepthwiseTile& tile) {
  const int32_t half = kMode == DepthwiseMode::kSaturate ? 1 << (tile.bits - 1) : 0;
  const Vec floor = _mm512_set1_epi32(-half), ceiling = _mm512_set1_epi32(half - 1);
  for (int64_t p = 0; p < tile.count; ++p) {
    const uint8_t* pixel = tile.pixels[p] + tile.channel;
    const int32_t* corrections = tile.corrections;
    Vec sum[4], low[4], high[4];
    UNROLL for (int v = 0; v < 4; ++v) {
      sum[v] = load(tile.start + v * 16);
      low[v] = _mm512_set1_epi32(INT32_MAX);
      high[v] = _mm512_set1_epi32(INT32_MIN);
    }
    const auto close = [&] {
      UNROLL for (int v = 0; v < 4; ++v) {
        if constexpr (kMode == DepthwiseMode::kSaturate) {
          sum[v] = _mm512_min_epi32(_mm512_max_epi32(sum[v], floor), ceiling);
        } else if constexpr (kMode == DepthwiseMode::kCensus) {
          low[v] = _mm512_min_epi32(low[v], sum[v]);
          high[v] = _mm512_max_epi32(high[v], sum[v]);
        }
      }
    };
    const auto add_all = [&](const int32_t* from) {
      UNROLL for (int v = 0; v < 4; ++v) sum[v] = _mm512_add_epi32(sum[v], load(from + v * 16));
    };
    for (int64_t quad = 0; quad < tile.quads;) {
      const int64_t end =
          quad + tile.quads_per_fit < tile.quads ? quad + tile.quads_per_fit : tile.quads;
      for (; quad < end; ++quad) {
        const int32_t* offsets = tile.offsets + quad * 4;
        const int8_t* weights = tile.weights + quad * kTileChannels * 4;
        const Vec x0 = load(pixel + offsets[0]), x1 = load(pixel + offsets[1]),
                  x2 = load(pixel + offsets[2]), x3 = load(pixel + offsets[3]);
        const Vec low01 = _mm512_unpacklo_epi8(x0, x1), high01 = _mm512_unpackhi_epi8(x0, x1),
                  low23 = _mm512_unpacklo_epi8(x2, x3), high23 = _mm512_unpackhi_epi8(x2, x3);
        sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_unpacklo_epi16(low01, low23), load(weights));
        sum[1] =
            _mm512_dpbusd_epi32(sum[1], _mm512_unpackhi_epi16(low01, low23), load(weights + 64));
        sum[2] =
            _mm512_dpbusd_epi32(sum[2], _mm512_unpacklo_epi16(high01, high23), load(weights + 128));
        sum[3] =
            _mm512_dpbusd_epi32(sum[3], _mm512_unpackhi_epi16(high01, high23), load(weights + 192));
      }
      if constexpr (kMode == DepthwiseMode::kExact) continue;
      if (corrections != nullptr) {
        add_all(corrections);
        corrections += kTileChannels;
      }
      close();
    }
    if (tile.last != nullptr) {
      add_all(tile.last);
      close();
    }
    store_in_order(tile.sums + p * kTileChannels, sum);
    if constexpr (kMode == DepthwiseMode::kCensus) {
      store_in_order(tile.low + p * kTileChannels, low);
      store_in_order(tile.high + p * kTileChannels, high);
    }
  }
}

void depthwise(DepthwiseMode mode, const DepthwiseTile& tile) {
  switch (mode) {
    case DepthwiseMode::kExact:
      return depthwise_pixels<DepthwiseMode::kExact>(tile);
    case DepthwiseMode::kSaturate:
      return depthwise_pixels<DepthwiseMode::kSaturate>(tile);
    case DepthwiseMode::kCensus:
      return depthwise_pixels<DepthwiseMode::kCensus>(tile);
  }
}

// --- census ---

inline Vec width_of(Vec magnitude) {
  return _mm512_sub_epi32(_mm512_set1_epi32(33), _mm512_lzcnt_epi32(magnitude));
}

inline Vec pack_bytes(Vec a, Vec b, Vec c, Vec d) {
  // Packing works in 128-bit lanes: every fourth group of four bytes ends up together.
  const Vec order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const Vec packed = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
  return _mm512_permutexvar_epi32(order, packed);
}

void count_widths(CountWidthsJob& job) {
  const auto widths = [&](int64_t p) { return load(job.widths + p * kTileChannels); };
  Vec least = widths(0), greatest = least;
  for (int64_t p = 1; p < job.count; ++p) {
    least = _mm512_min_epu8(least, widths(p));
    greatest = _mm512_max_epu8(greatest, widths(p));
  }
  // Of bytes, in the low byte of every 128-bit lane.
  const auto folded = [](Vec v, auto&& pick) {
    v = pick(v, _mm512_bsrli_epi128(v, 8));
    v = pick(v, _mm512_bsrli_epi128(v, 4));
    v = pick(v, _mm512_bsrli_epi128(v, 2));
    v = pick(v, _mm512_bsrli_epi128(v, 1));
    v = pick(v, _mm512_shuffle_i32x4(v, v, 0x4E));
    v = pick(v, _mm512_shuffle_i32x4(v, v, 0xB1));
    return _mm_cvtsi128_si32(_mm512_castsi512_si128(v)) & 0xFF;
  };
  job.first = folded(least, [](Vec x, Vec y) { return _mm512_min_epu8(x, y); });
  job.last = folded(greatest, [](Vec x, Vec y) { return _mm512_max_epu8(x, y); });
  const Vec one = _mm512_set1_epi8(1);
  for (int width = job.first; width <= job.last; width += 4) {  // counts have room for them
    Vec count[4] = {}, wanted[4];
    UNROLL for (int i = 0; i < 4; ++i) wanted[i] = _mm512_set1_epi8(static_cast<char>(width + i));
    for (int64_t p = 0; p < job.count; ++p) {
      const Vec own = widths(p);
      UNROLL for (int i = 0; i < 4; ++i) {
        count[i] =
            _mm512_mask_add_epi8(count[i], _mm512_cmpeq_epi8_mask(own, wanted[i]), count[i], one);
      }
    }
    UNROLL for (int i = 0; i < 4; ++i) store(job.counts + (width + i) * kTileChannels, count[i]);
  }
}

void census(const TileCensusJob& job) {
  Vec least[kTileVectors], greatest[kTileVectors];
  UNROLL for (int64_t v = 0; v < kTileVectors; ++v) {
    least[v] = load(job.least + v * kLaneChannels);
    greatest[v] = load(job.greatest + v * kLaneChannels);
  }
  for (int64_t p = 0; p < job.count; ++p) {
    Vec running[kTileVectors], final[kTileVectors];
    UNROLL for (int64_t v = 0; v < kTileVectors; ++v) {
      const int64_t at = p * kTileChannels + v * kLaneChannels;
      const Vec low = load(job.low + at), high = load(job.high + at);
      least[v] = _mm512_min_epi32(least[v], low);
      greatest[v] = _mm512_max_epi32(greatest[v], high);
      running[v] = width_of(_mm512_or_si512(magnitude(low), magnitude(high)));
      final[v] = width_of(magnitude(load(job.sums + at)));
    }
    store(job.running + p * kTileChannels,
          pack_bytes(running[0], running[1], running[2], running[3]));
    store(job.final + p * kTileChannels, pack_bytes(final[0], final[1], final[2], final[3]));
  }
  UNROLL for (int64_t v = 0; v < kTileVectors; ++v) {
    store(job.least + v * kLaneChannels, least[v]);
    store(job.greatest + v * kLaneChannels, greatest[v]);
  }
}

// --- copying ---

// [rows, cols] to [cols, rows], in blocks of 16 by 16.
void transpose(const uint8_t* from, int64_t rows, int64_t cols, uint8_t* to) {
  const auto scalar = [&](int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
    for (int64_t c = c0; c < c1; ++c) {
      for (int64_t r = r0; r < r1; ++r) to[c * rows + r] = from[r * cols + c];
    }
  };
  const int64_t whole_rows = rows / 16 * 16, whole_cols = cols / 16 * 16;
  for (int64_t r = 0; r < whole_rows; r += 16) {
    for (int64_t c = 0; c < whole_cols; c += 16) {
      __m128i x[16], y[16];
      for (int i = 0; i < 16; ++i)
        x[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + (r + i) * cols + c));
      // Four rounds that each interleave row i with row i + 8.
      for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 8; ++i) {
          y[2 * i] = _mm_unpacklo_epi8(x[i], x[i + 8]);
          y[2 * i + 1] = _mm_unpackhi_epi8(x[i], x[i + 8]);
        }
        for (int i = 0; i < 16; ++i) x[i] = y[i];
      }
      for (int i = 0; i < 16; ++i)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + (c + i) * rows + r), x[i]);
    }
  }
  scalar(0, whole_rows, whole_cols, cols);
  scalar(whole_rows, rows, 0, cols);
}

void copy_panel(const CopyPanelJob& job) {
  // From four slots of 16 pixels to 16 pixels of four slots.
  const Vec groups = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const Vec within =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const bool as_it_lies = job.run_count == 1 && job.runs[0].as_it_lies;
  const auto slot_bytes = [&](int64_t slot) {
    const uint8_t* from = job.planes + job.offsets[slot];
    const auto bytes = [&](int64_t run) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + job.runs[run].offset));
    };
    if (as_it_lies) return bytes(0);
    __m128i all = _mm_setzero_si128();
    for (int64_t run = 0; run < job.run_count; ++run) {
      const __m128i shuffle =
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(job.runs[run].shuffle));
      all = _mm_or_si128(all, _mm_shuffle_epi8(bytes(run), shuffle));
    }
    return all;
  };
  for (int64_t first = 0; first < job.quads; first += 16) {
    const int64_t count = job.quads - first < 16 ? job.quads - first : 16;
    Vec quads[16];
    for (int64_t quad = 0; quad < 16; ++quad) {
      const int64_t slot = (first + (quad < count ? quad : 0)) * 4;
      Vec all = _mm512_castsi128_si512(slot_bytes(slot));
      all = _mm512_inserti32x4(all, slot_bytes(slot + 1), 1);
      all = _mm512_inserti32x4(all, slot_bytes(slot + 2), 2);
      all = _mm512_inserti32x4(all, slot_bytes(slot + 3), 3);
      quads[quad] = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(groups, all), within);
    }
    transpose_dwords(quads);
    for (int64_t pixel = 0; pixel < kPanelPixels; ++pixel)
      store(job.panel + pixel * job.stride + first * 4, quads[pixel]);
  }
}

// --- requantization ---

// Codes of kLaneChannels sums, zero point and offset included, not yet limited to bytes.
inline Vec scaled_float(Vec sum, const ByteRequantizeJob& job, int64_t c) {
  const __m512 real = _mm512_cvtepi32_ps(sum) * _mm512_loadu_ps(job.float_multipliers + c);
  // Limiting to integers before the rounding gives what limiting after it gives. NaN is the least.
  const __m512 low = _mm512_set1_ps(static_cast<float>(job.q_min - job.zero_point)),
               high = _mm512_set1_ps(static_cast<float>(job.q_max - job.zero_point));
  return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(real, low), high));
}
inline Vec scaled_shift(Vec sum, const ByteRequantizeJob& job, int64_t c) {
  if (job.limit_sums) {
    sum = _mm512_max_epi32(sum, load(job.least_sums + c));
    sum = _mm512_min_epi32(sum, load(job.greatest_sums + c));
  }
  const auto scaled = [&](Vec s, int64_t at) {
    const Vec rounded = _mm512_add_epi64(_mm512_mul_epi32(s, load(job.multipliers + at)),
                                         load(job.rounding_addends + at));
    return _mm512_castsi512_ps(_mm512_srav_epi64(rounded, load(job.shifts + at)));
  };
  const Vec odd_sums = _mm512_castps_si512(_mm512_movehdup_ps(_mm512_castsi512_ps(sum)));
  const __m512 even = scaled(sum, c), odd = scaled(odd_sums, c + kLaneChannels / 2);
  return _mm512_castps_si512(_mm512_mask_moveldup_ps(even, 0xAAAA, odd));
}

template <bool kFloat>
void requantize_all(const ByteRequantizeJob& job) {
  const Vec shifted = _mm512_set1_epi32(job.zero_point + job.offset);
  const __m128i wrap = _mm_cvtsi32_si128(job.wrap_bits > 0 ? 32 - job.wrap_bits : 0);
  const auto least = static_cast<char>(job.q_min + job.offset),
             greatest = static_cast<char>(job.q_max + job.offset);
  for (int64_t p = 0; p < job.count; ++p) {
    const int32_t* sums = job.sums + p * kTileChannels;
    uint8_t* bytes = job.bytes + p * job.stride;
    const auto at = [&](int64_t c) {
      Vec sum = load(sums + c);
      if (job.wrap_bits > 0) sum = _mm512_sra_epi32(_mm512_sll_epi32(sum, wrap), wrap);
      return _mm512_add_epi32(kFloat ? scaled_float(sum, job, c) : scaled_shift(sum, job, c),
                              shifted);
    };
    for (int64_t c = 0; c < job.channels; c += kTileChannels) {
      const int64_t vectors = (job.channels - c + kLaneChannels - 1) / kLaneChannels;
      const Vec none = _mm512_setzero_si512();
      Vec packed = pack_bytes(at(c), vectors > 1 ? at(c + 16) : none,
                              vectors > 2 ? at(c + 32) : none, vectors > 3 ? at(c + 48) : none);
      packed = _mm512_min_epu8(_mm512_max_epu8(packed, _mm512_set1_epi8(least)),
                               _mm512_set1_epi8(greatest));
      const int64_t left = job.channels - c;
      if (left >= kTileChannels) {
        store(bytes + c, packed);
      } else {
        _mm512_mask_storeu_epi8(bytes + c, (uint64_t{1} << left) - 1, packed);
      }
    }
  }
}

void requantize(const ByteRequantizeJob& given) {
  const ByteRequantizeJob job = given;  // a copy of its own, which no store to the codes can change
  if (job.use_float) {
    requantize_all<true>(job);
  } else {
    requantize_all<false>(job);
  }
}

}  // namespace

const ByteKernelTable kAvx512VnniByteKernels{
    .exact = exact,
    .tree_saturate = tree_saturate,
    .tree_within = tree_within,
    .tree_census = tree_census,
    .chain_extremes = chain_extremes,
    .chain_census = chain_census,
    .depthwise = depthwise,
    .census = census,
    .count_widths = count_widths,
    .transpose = transpose,
    .copy_panel = copy_panel,
    .requantize = requantize,
    .saturate = &kAvx512VnniSaturateKernels,
};

}  // namespace widthwise
