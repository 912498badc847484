#include "sim/byte_kernel.h"
#include "sim/byte_tile_avx512_vnni.h"
#include "sim/byte_vectors.h"
#include "sim/chain_kernel_avx512_vnni.h"
#include "sim/fitted_hits_avx512_vnni.h"
#include "sim/saturate_kernel.h"

namespace widthwise {
namespace {

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

// Four taps of kTileChannels channels, or one and three times 0, interleaved.
template <bool kOneTap>
inline void load_taps(const uint8_t* pixel, const int32_t* offsets, Vec* quads) {
  const Vec x0 = load(pixel + offsets[0]);
  if constexpr (kOneTap) {
    UNROLL for (int v = 0; v < 4; ++v) {
      quads[v] = _mm512_maskz_shuffle_epi8(
          0x1111111111111111, x0,
          _mm512_broadcast_i32x4(_mm_setr_epi32(4 * v, 4 * v + 1, 4 * v + 2, 4 * v + 3)));
    }
  } else {
    const Vec x1 = load(pixel + offsets[1]), x2 = load(pixel + offsets[2]),
              x3 = load(pixel + offsets[3]);
    const Vec low01 = _mm512_unpacklo_epi8(x0, x1), high01 = _mm512_unpackhi_epi8(x0, x1),
              low23 = _mm512_unpacklo_epi8(x2, x3), high23 = _mm512_unpackhi_epi8(x2, x3);
    quads[0] = _mm512_unpacklo_epi16(low01, low23);
    quads[1] = _mm512_unpackhi_epi16(low01, low23);
    quads[2] = _mm512_unpacklo_epi16(high01, high23);
    quads[3] = _mm512_unpackhi_epi16(high01, high23);
  }
}

// Pixels from `first` on; a few at once, so that none waits for its own sums.
template <DepthwiseMode kMode, bool kOneTap, int kPixels>
void depthwise_pixels(const DepthwiseTile& tile, int64_t first) {
  const int32_t half = kMode == DepthwiseMode::kSaturate ? 1 << (tile.bits - 1) : 0;
  const Vec floor = _mm512_set1_epi32(-half), ceiling = _mm512_set1_epi32(half - 1);
  const int32_t* corrections = tile.corrections;
  const uint8_t* pixel[kPixels];
  Vec sum[kPixels][4], low[kPixels][4], high[kPixels][4];
  UNROLL for (int p = 0; p < kPixels; ++p) {
    pixel[p] = tile.pixels[first + p] + tile.channel;
    UNROLL for (int v = 0; v < 4; ++v) {
      sum[p][v] = load(tile.start + v * 16);
      low[p][v] = _mm512_set1_epi32(INT32_MAX);
      high[p][v] = _mm512_set1_epi32(INT32_MIN);
    }
  }
  const auto close = [&] {
    UNROLL for (int p = 0; p < kPixels; ++p) {
      UNROLL for (int v = 0; v < 4; ++v) {
        Vec& own = sum[p][v];
        if constexpr (kMode == DepthwiseMode::kSaturate) {
          own = _mm512_min_epi32(_mm512_max_epi32(own, floor), ceiling);
        } else if constexpr (kMode == DepthwiseMode::kCensus) {
          low[p][v] = _mm512_min_epi32(low[p][v], own);
          high[p][v] = _mm512_max_epi32(high[p][v], own);
        }
      }
    }
  };
  const auto add_all = [&](const int32_t* from) {
    UNROLL for (int v = 0; v < 4; ++v) {
      const Vec addend = load(from + v * 16);
      UNROLL for (int p = 0; p < kPixels; ++p) sum[p][v] = _mm512_add_epi32(sum[p][v], addend);
    }
  };
  for (int64_t quad = 0; quad < tile.quads;) {
    const int64_t end =
        quad + tile.quads_per_fit < tile.quads ? quad + tile.quads_per_fit : tile.quads;
    for (; quad < end; ++quad) {
      const int8_t* weights = tile.weights + quad * kTileChannels * 4;
      UNROLL for (int p = 0; p < kPixels; ++p) {
        Vec bytes[4];
        load_taps<kOneTap>(pixel[p], tile.offsets + quad * 4, bytes);
        UNROLL for (int v = 0; v < 4; ++v) {
          sum[p][v] = _mm512_dpbusd_epi32(sum[p][v], bytes[v], load(weights + v * 64));
        }
      }
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
  UNROLL for (int p = 0; p < kPixels; ++p) {
    const int64_t at = (first + p) * kTileChannels;
    store_in_order(tile.sums + at, sum[p]);
    if constexpr (kMode == DepthwiseMode::kCensus) {
      store_in_order(tile.low + at, low[p]);
      store_in_order(tile.high + at, high[p]);
    }
  }
}

template <DepthwiseMode kMode, bool kOneTap>
void depthwise_tile(const DepthwiseTile& tile) {
  int64_t p = 0;
  for (; p + 2 <= tile.count; p += 2) depthwise_pixels<kMode, kOneTap, 2>(tile, p);
  if (p < tile.count) depthwise_pixels<kMode, kOneTap, 1>(tile, p);
}

// Exact sums of pixels side by side: a column is interleaved once for all windows that it is in.
template <int kPixels>
void depthwise_columns(const DepthwiseTile& tile, int64_t first) {
  constexpr int kQuads = kColumnQuads;
  const uint8_t* column = tile.pixels[first] + tile.channel;
  Vec sum[kPixels][4];
  UNROLL for (int c = 0; c < kPixels + kQuads - 1; ++c, column += tile.column_bytes) {
    if (c < kPixels) {
      UNROLL for (int v = 0; v < 4; ++v) sum[c][v] = load(tile.start + v * 16);
    }
    Vec bytes[4];
    load_taps<false>(column, tile.offsets, bytes);
    UNROLL for (int quad = 0; quad < kQuads; ++quad) {
      const int p = c - quad;
      if (p < 0 || p >= kPixels) continue;
      UNROLL for (int v = 0; v < 4; ++v) {
        sum[p][v] = _mm512_dpbusd_epi32(sum[p][v], bytes[v],
                                        load(tile.weights + quad * kTileChannels * 4 + v * 64));
      }
    }
    const int done = c - kQuads + 1;
    if (done >= 0) store_in_order(tile.sums + (first + done) * kTileChannels, sum[done]);
  }
}

void depthwise_runs(const DepthwiseTile& tile) {
  for (int64_t first = 0, end = 0; first < tile.count; first = end) {
    for (end = first + 1;
         end < tile.count && tile.pixels[end] == tile.pixels[end - 1] + tile.column_bytes;)
      ++end;
    switch (end - first) {
      case 1:
        depthwise_columns<1>(tile, first);
        break;
      case 2:
        depthwise_columns<2>(tile, first);
        break;
      case 3:
        depthwise_columns<3>(tile, first);
        break;
      case 4:
        depthwise_columns<4>(tile, first);
        break;
      case 5:
        depthwise_columns<5>(tile, first);
        break;
      default:
        depthwise_columns<6>(tile, first);
    }
  }
}

template <DepthwiseMode kMode>
void depthwise_taps(const DepthwiseTile& tile) {
  tile.one_tap ? depthwise_tile<kMode, true>(tile) : depthwise_tile<kMode, false>(tile);
}

void depthwise(DepthwiseMode mode, const DepthwiseTile& tile) {
  switch (mode) {
    case DepthwiseMode::kExact:
      return tile.column_bytes > 0 ? depthwise_runs(tile)
                                   : depthwise_taps<DepthwiseMode::kExact>(tile);
    case DepthwiseMode::kSaturate:
      return depthwise_taps<DepthwiseMode::kSaturate>(tile);
    case DepthwiseMode::kCensus:
      return depthwise_taps<DepthwiseMode::kCensus>(tile);
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

inline Vec bits_of(Vec number) {
  return _mm512_sub_epi32(_mm512_set1_epi32(32), _mm512_lzcnt_epi32(number));
}

// fitted_hits of one pixel.
void census_of_fitted(const TileCensusJob& job, int64_t pixel) {
  Vec up_to[kTileVectors], also[kTileVectors], saturate[kTileVectors];
  UNROLL for (int64_t v = 0; v < kTileVectors; ++v) {
    const int64_t channel = v * kLaneChannels, at = pixel * kTileChannels + channel;
    const Crossing c =
        crossing(load(job.starts.bias + channel), load(job.low + at), load(job.high + at));
    up_to[v] = bits_of(c.most);
    also[v] = bits_of(c.differ);
    const Vec range = _mm512_or_si512(_mm512_sub_epi32(c.high, c.low), _mm512_set1_epi32(1));
    saturate[v] = _mm512_mask_mov_epi32(_mm512_sub_epi32(bits_of(range), _mm512_set1_epi32(1)),
                                        c.crosses, _mm512_set1_epi32(32));
  }
  const int64_t to = pixel * kTileChannels;
  store(job.wrap_up_to + to, pack_bytes(up_to[0], up_to[1], up_to[2], up_to[3]));
  store(job.wrap_also + to, pack_bytes(also[0], also[1], also[2], also[3]));
  store(job.saturate_up_to + to, pack_bytes(saturate[0], saturate[1], saturate[2], saturate[3]));
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
    if (job.starts.bias != nullptr) census_of_fitted(job, p);
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
