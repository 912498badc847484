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

}  // namespace
}  // namespace widthwise
