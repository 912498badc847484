#include <immintrin.h>

#include "sim/byte_kernel.h"

namespace widthwise {
namespace {

using Vec = __m512i;

inline Vec load(const void* from) { return _mm512_loadu_si512(from); }
inline void store(void* to, Vec value) { _mm512_storeu_si512(to, value); }
inline Vec broadcast_quad(const uint8_t* from) {
  int32_t quad;
  __builtin_memcpy(&quad, from, sizeof(quad));
  return _mm512_set1_epi32(quad);
}

// The sums of kPixels pixels and kVectors vectors stay in registers; unrolled whole, or g++ spills.
template <int kPixels, int kVectors>
void exact_tile(const ByteTile& tile) {
  Vec sum[kPixels][kVectors];
  const uint8_t* pixel[kPixels];
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
    pixel[p] = tile.pixels[p];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[p][v] = load(tile.start + v * kLaneChannels);
  }
  const int8_t* weights = tile.weights;
  for (int64_t quad = 0; quad < tile.quads; ++quad) {
    const int64_t offset = tile.offsets[quad];
    Vec w[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) w[v] = load(weights + v * 64);
    weights += kVectors * 64;
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      const Vec a = broadcast_quad(pixel[p] + offset);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[p][v] = _mm512_dpbusd_epi32(sum[p][v], a, w[v]);
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      store(tile.sums + p * kTileChannels + v * kLaneChannels, sum[p][v]);
  }
}

using TileFunction = void (*)(const ByteTile&);

constexpr TileFunction kExactTiles[kTilePixels][kTileVectors] = {
    {exact_tile<1, 1>, exact_tile<1, 2>, exact_tile<1, 3>, exact_tile<1, 4>},
    {exact_tile<2, 1>, exact_tile<2, 2>, exact_tile<2, 3>, exact_tile<2, 4>},
    {exact_tile<3, 1>, exact_tile<3, 2>, exact_tile<3, 3>, exact_tile<3, 4>},
    {exact_tile<4, 1>, exact_tile<4, 2>, exact_tile<4, 3>, exact_tile<4, 4>},
    {exact_tile<5, 1>, exact_tile<5, 2>, exact_tile<5, 3>, exact_tile<5, 4>},
    {exact_tile<6, 1>, exact_tile<6, 2>, exact_tile<6, 3>, exact_tile<6, 4>},
};

void exact(const ByteTile& tile) { kExactTiles[tile.count - 1][tile.vectors - 1](tile); }

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
  // Packing works in 128-bit lanes: every fourth group of four bytes ends up together.
  const Vec order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
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
      const Vec low = _mm512_packs_epi32(at(c), vectors > 1 ? at(c + 16) : none);
      const Vec high =
          _mm512_packs_epi32(vectors > 2 ? at(c + 32) : none, vectors > 3 ? at(c + 48) : none);
      Vec packed = _mm512_packus_epi16(low, high);
      packed = _mm512_min_epu8(_mm512_max_epu8(packed, _mm512_set1_epi8(least)),
                               _mm512_set1_epi8(greatest));
      packed = _mm512_permutexvar_epi32(order, packed);
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

const ByteKernelTable kAvx512VnniByteKernels{exact, requantize};

}  // namespace widthwise
