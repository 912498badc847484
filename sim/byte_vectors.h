#pragma once
#include <immintrin.h>

#include <cstdint>

// What the kernels for AVX-512 VNNI share; only for their files, which are compiled for it.
namespace widthwise {
namespace {

using Vec = __m512i;

inline Vec load(const void* from) { return _mm512_loadu_si512(from); }
inline void store(void* to, Vec value) { _mm512_storeu_si512(to, value); }

// g++ keeps arrays of vectors in registers only where their loops are unrolled whole.
#define UNROLL _Pragma("GCC unroll 16")

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

}  // namespace
}  // namespace widthwise
