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

}  // namespace
}  // namespace widthwise
