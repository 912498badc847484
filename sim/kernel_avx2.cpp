#include <immintrin.h>

#include "sim/kernel.h"

#define WIDTHWISE_ISA_NAMESPACE avx2
namespace widthwise::avx2 {
namespace {

using Vec = __m256i;
constexpr int kLanes = 8, kChannels = 2, kVectors = 2;

inline Vec zero() { return _mm256_setzero_si256(); }
inline Vec set(int32_t value) { return _mm256_set1_epi32(value); }
inline Vec load(const int32_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const Vec*>(from));
}
inline void store(int32_t* to, Vec value) {
  _mm256_storeu_si256(reinterpret_cast<Vec*>(to), value);
}
inline Vec add(Vec a, Vec b) { return _mm256_add_epi32(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm256_sub_epi32(a, b); }
inline Vec min(Vec a, Vec b) { return _mm256_min_epi32(a, b); }
inline Vec max(Vec a, Vec b) { return _mm256_max_epi32(a, b); }
inline Vec shift_left(Vec a, int n) { return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n)); }
inline Vec shift_right(Vec a, int n) { return _mm256_sra_epi32(a, _mm_cvtsi32_si128(n)); }
inline Vec not_equal_ones(Vec a, Vec b) {
  return _mm256_xor_si256(_mm256_cmpeq_epi32(a, b), _mm256_set1_epi32(-1));
}
inline Vec pair_add(Vec sum, Vec x, Vec w) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
}
inline Vec bit_or(Vec a, Vec b) { return _mm256_or_si256(a, b); }
inline Vec bit_and(Vec a, Vec b) { return _mm256_and_si256(a, b); }
inline Vec load_unsigned16(const int16_t* from) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

}  // namespace
}  // namespace widthwise::avx2
#include "sim/kernel_body.h"

namespace widthwise {
const KernelTable kAvx2Kernels{"avx2",           avx2::kPanelPixels, avx2::run,    avx2::make_patch,
                               avx2::requantize, avx2::elementwise,  avx2::census, nullptr};
}
