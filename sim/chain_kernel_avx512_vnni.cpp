#include "sim/chain_kernel_avx512_vnni.h"

#include "sim/byte_tile_avx512_vnni.h"
#include "sim/byte_vectors.h"
#include "sim/fitted_hits_avx512_vnni.h"

namespace widthwise {
namespace {

// --- product by product ---

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

// --- bounds ---

// Block after block of a vector's channels: [blocks][kChainPixels][kLaneChannels].
inline int64_t block_at(int64_t block, int64_t p) {
  return (block * kChainPixels + p) * kLaneChannels;
}

// Of one pixel. Sums that are compared have the offset, the sum as added up has not the zero byte's
// share. positive: of the products since the last point, those above 0; kZeroByte: minus all
// magnitudes.
struct ChainSums {
  Vec sum, before, positive, low, high;
};

// At a point: how far the sum can have gone since the last one, and where it is now.
template <bool kZeroByte>
inline void bound(ChainSums& c, Vec correction, bool first) {
  const Vec now = kZeroByte ? _mm512_add_epi32(c.sum, correction) : c.sum;
  Vec up = c.positive;
  if constexpr (kZeroByte) {
    up = _mm512_srai_epi32(_mm512_sub_epi32(_mm512_sub_epi32(now, c.before), up), 1);
  }
  const Vec above = _mm512_add_epi32(c.before, up), below = _mm512_sub_epi32(now, up);
  c.high = first ? above : greater(c.high, above);
  c.low = first ? below : smaller(c.low, below);
  c.before = now;
}

// Sums behind every block (those before the first come first), and the bounds inside it.
template <bool kZeroByte, int kPointQuads, int kPixels>
void chain_blocks(const ChainJob& job, int64_t vector) {
  const ByteTile& tile = job.tile;
  const int64_t quads = tile.quads;
  const int32_t* corrections = kZeroByte ? job.corrections + vector * kLaneChannels : nullptr;
  const int32_t* offsets = tile.offsets;
  const int8_t* weights = tile.weights + vector * 2 * 64 * quads;
  int32_t *sums = job.block_sums, *low = job.block_low, *high = job.block_high;
  ChainSums c[kPixels];
  const uint8_t *pixel[kPixels], *magnitude[kPixels];
  UNROLL for (int p = 0; p < kPixels; ++p) {
    pixel[p] = tile.pixels[p];
    magnitude[p] = kZeroByte ? job.magnitudes[p] : pixel[p];
    c[p].sum =
        _mm512_add_epi32(load(tile.start + vector * kLaneChannels), _mm512_set1_epi32(kOffset));
    c[p].before = c[p].sum;
    store(sums + block_at(0, p), c[p].sum);
  }
  const auto to_point = [&](int64_t count, bool first) {
    UNROLL for (int p = 0; p < kPixels; ++p) c[p].positive = _mm512_setzero_si512();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t offset = offsets[i];
      const Vec w = load(weights + i * 128), w_positive = load(weights + i * 128 + 64);
      UNROLL for (int p = 0; p < kPixels; ++p) {
        const Vec a = broadcast_quad(pixel[p] + offset);
        c[p].sum = _mm512_dpbusd_epi32(c[p].sum, a, w);
        const Vec m = kZeroByte ? broadcast_quad(magnitude[p] + offset) : a;
        c[p].positive = _mm512_dpbusd_epi32(c[p].positive, m, w_positive);
      }
    }
    offsets += count;
    weights += count * 128;
    const Vec correction = kZeroByte ? load(corrections) : _mm512_setzero_si512();
    UNROLL for (int p = 0; p < kPixels; ++p) bound<kZeroByte>(c[p], correction, first);
    if constexpr (kZeroByte) corrections += tile.vectors * kLaneChannels;
  };
  const auto end_block = [&] {
    sums += block_at(1, 0);
    UNROLL for (int p = 0; p < kPixels; ++p) {
      store(sums + block_at(0, p), c[p].before);
      store(low + block_at(0, p), c[p].low);
      store(high + block_at(0, p), c[p].high);
    }
    low += block_at(1, 0);
    high += block_at(1, 0);
  };
  int64_t quad = 0;
  for (; quad + kBlockQuads <= quads; quad += kBlockQuads) {
    to_point(kPointQuads, true);
    for (int64_t point = kPointQuads; point < kBlockQuads; point += kPointQuads)
      to_point(kPointQuads, false);
    end_block();
  }
  if (quad == quads) return;
  bool first = true;
  for (; quad < quads; quad += kPointQuads) {
    to_point(quads - quad < kPointQuads ? quads - quad : kPointQuads, first);
    first = false;
  }
  end_block();
}

// What a running sum, with the offset, may reach without changing what a census says.
struct Freedom {
  Vec low, high;
};
inline Freedom freedom(const ChainJob& job, int64_t channel, Vec low, Vec high) {
  const Vec largest = _mm512_or_si512(magnitude(low), magnitude(high));
  const Vec width_high = _mm512_srlv_epi32(_mm512_set1_epi32(-1), _mm512_lzcnt_epi32(largest));
  const Vec width_low = _mm512_xor_si512(width_high, _mm512_set1_epi32(-1));
  Vec free_high =
      _mm512_min_epi32(width_high, _mm512_max_epi32(high, load(job.greatest + channel)));
  Vec free_low = _mm512_max_epi32(width_low, _mm512_min_epi32(low, load(job.least + channel)));
  if (job.starts.bias != nullptr)
    keep_fitted_hits(job.starts, channel, low, high, free_low, free_high);
  const Vec offset = _mm512_set1_epi32(kOffset);
  return {_mm512_add_epi32(free_low, offset), _mm512_add_epi32(free_high, offset)};
}

// A block of an output as one number: block, pixel, lane.
constexpr int kLookBlock = 8, kLookPixel = 5;

// Sums, and low and high from the ends of the blocks; returns how many looks are listed then.
int64_t list_looks(const ChainJob& job, int64_t p, int64_t vector, int64_t looks) {
  const ByteTile& tile = job.tile;
  const int64_t channel = vector * kLaneChannels, at = p * kTileChannels + channel;
  const int64_t blocks = (tile.quads + kBlockQuads - 1) / kBlockQuads;
  const int32_t* sums = job.block_sums + block_at(1, p);
  Vec low = load(sums), high = low, sum = low;
  for (int64_t block = 1; block < blocks; ++block) {
    sum = load(sums + block_at(block, 0));
    low = _mm512_min_epi32(low, sum);  // at once; one pixel's floats would wait for each other
    high = _mm512_max_epi32(high, sum);
  }
  if (tile.last != nullptr) {
    sum = _mm512_add_epi32(sum, load(tile.last + channel));
    low = smaller(low, sum);
    high = greater(high, sum);
  }
  const Vec offset = _mm512_set1_epi32(kOffset);
  low = _mm512_sub_epi32(low, offset);
  high = _mm512_sub_epi32(high, offset);
  store(tile.sums + at, _mm512_sub_epi32(sum, offset));
  store(tile.low + at, low);
  store(tile.high + at, high);
  const Freedom free = freedom(job, channel, low, high);
  Vec look =
      _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                       _mm512_set1_epi32(static_cast<int32_t>(p << kLookPixel)));
  const Vec next = _mm512_set1_epi32(1 << kLookBlock);
  const int32_t *lows = job.block_low + block_at(0, p), *highs = job.block_high + block_at(0, p);
  for (int64_t block = 0; block < blocks; ++block) {
    // Negative where a sum inside the block could leave its freedom.
    const Vec above = _mm512_sub_epi32(free.high, load(highs + block_at(block, 0)));
    const Vec below = _mm512_sub_epi32(load(lows + block_at(block, 0)), free.low);
    const __mmask16 lanes = _mm512_movepi32_mask(_mm512_or_si512(above, below));
    store(job.looks + looks, _mm512_maskz_compress_epi32(lanes, look));  // no branch: too random
    looks += __builtin_popcount(lanes);
    look = _mm512_add_epi32(look, next);
  }
  return looks;
}

// --- looks ---

// The extreme of each of sixteen vectors' lanes, in the order of kFoldOrder.
constexpr int kFoldOrder[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
template <class Pick>
inline Vec folded(Vec (&v)[16], Pick&& pick) {
  UNROLL for (int i = 0; i < 8; ++i) {
    v[i] = pick(_mm512_unpacklo_epi32(v[i], v[i + 8]), _mm512_unpackhi_epi32(v[i], v[i + 8]));
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    v[i] = pick(_mm512_unpacklo_epi64(v[i], v[i + 4]), _mm512_unpackhi_epi64(v[i], v[i + 4]));
  }
  UNROLL for (int i = 0; i < 2; ++i) {
    v[i] = pick(_mm512_shuffle_i32x4(v[i], v[i + 2], 0x44),
                _mm512_shuffle_i32x4(v[i], v[i + 2], 0xEE));
  }
  return pick(_mm512_shuffle_i32x4(v[0], v[1], 0x88), _mm512_shuffle_i32x4(v[0], v[1], 0xDD));
}

// Of all lanes before each.
inline Vec sums_before(Vec v) {
  const Vec none = _mm512_setzero_si512();
  v = _mm512_alignr_epi32(v, none, 15);
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, none, 15));
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, none, 14));
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, none, 12));
  return _mm512_add_epi32(v, _mm512_alignr_epi32(v, none, 8));
}

// Sixteen blocks of outputs: their sums after every product. Lanes are a block's quads.
template <bool kZeroByte>
void look_closely(const ChainJob& job, int64_t vector, const int32_t* looks) {
  const ByteTile& tile = job.tile;
  const int64_t blocks = (tile.quads + kBlockQuads - 1) / kBlockQuads;
  const int8_t* rows = job.rows + vector * kLaneChannels * blocks * kBlockQuads * 4;
  const Vec offset = _mm512_set1_epi32(kOffset);
  const Vec z = _mm512_set1_epi8(static_cast<char>(job.tile.zero_byte));
  Vec low[16], high[16];
  for (int i = 0; i < 16; ++i) {
    const int64_t block = looks[i] >> kLookBlock,
                  p = (looks[i] & ((1 << kLookBlock) - 1)) >> kLookPixel,
                  lane = looks[i] & ((1 << kLookPixel) - 1);
    const int32_t* offsets = tile.offsets + block * kBlockQuads;
    const Vec a = job.together ? load(tile.pixels[p] + *offsets)
                               : _mm512_i32gather_epi32(load(offsets), tile.pixels[p], 1);
    const Vec w = load(rows + (lane * blocks + block) * kBlockQuads * 4);
    // With the first products of every quad.
    const auto with = [&](uint64_t bytes) {
      const Vec some = _mm512_maskz_mov_epi8(bytes, w);
      const Vec added = _mm512_dpbusd_epi32(offset, a, some);
      if (!kZeroByte) return added;
      return _mm512_sub_epi32(added, _mm512_dpbusd_epi32(_mm512_setzero_si512(), z, some));
    };
    const Vec one = with(0x1111111111111111), two = with(0x3333333333333333),
              three = with(0x7777777777777777), all = with(~uint64_t{0});
    const Vec before =
        _mm512_add_epi32(sums_before(_mm512_sub_epi32(all, offset)),
                         _mm512_set1_epi32(job.block_sums[block_at(block, p) + lane] - kOffset));
    low[i] = _mm512_add_epi32(before, smaller(smaller(one, two), smaller(three, all)));
    high[i] = _mm512_add_epi32(before, greater(greater(one, two), greater(three, all)));
  }
  alignas(64) int32_t least[16], greatest[16];
  store(least, _mm512_sub_epi32(folded(low, smaller), offset));
  store(greatest, _mm512_sub_epi32(folded(high, greater), offset));
  for (int i = 0; i < 16; ++i) {
    const int32_t look = looks[kFoldOrder[i]];
    const int64_t p = (look & ((1 << kLookBlock) - 1)) >> kLookPixel,
                  lane = look & ((1 << kLookPixel) - 1);
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

template <bool kZeroByte, int kPointQuads>
void chain_blocks_of(const ChainJob& job, int64_t vector) {
  switch (job.tile.count) {
    case 1:
      return chain_blocks<kZeroByte, kPointQuads, 1>(job, vector);
    case 2:
      return chain_blocks<kZeroByte, kPointQuads, 2>(job, vector);
    case 3:
      return chain_blocks<kZeroByte, kPointQuads, 3>(job, vector);
    case 4:
      return chain_blocks<kZeroByte, kPointQuads, 4>(job, vector);
    default:
      return chain_blocks<kZeroByte, kPointQuads, 5>(job, vector);
  }
}

template <int kPointQuads>
void bound_vector(const ChainJob& job, int64_t vector) {
  if (job.tile.zero_byte != 0) {
    chain_blocks_of<true, kPointQuads>(job, vector);
  } else {
    chain_blocks_of<false, kPointQuads>(job, vector);
  }
}

}  // namespace

void chain_extremes(const ByteTile& tile) { run_parts<ChainExtremes, kTilePixels, 1>(tile); }

void chain_census(const ChainJob& job) {
  const bool zero_byte = job.tile.zero_byte != 0;
  for (int64_t vector = 0; vector < job.tile.vectors; ++vector) {
    if (job.point_quads == kShortPointQuads) {
      bound_vector<kShortPointQuads>(job, vector);
    } else {
      bound_vector<kLongPointQuads>(job, vector);
    }
    int64_t looks = 0;
    for (int64_t p = 0; p < job.tile.count; ++p) looks = list_looks(job, p, vector, looks);
    zero_byte ? look_at_all<true>(job, vector, looks) : look_at_all<false>(job, vector, looks);
  }
}

}  // namespace widthwise
