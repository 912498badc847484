#include <immintrin.h>

#include "sim/kernel.h"

#define WIDTHWISE_ISA_NAMESPACE avx512_vnni
namespace widthwise::avx512_vnni {
namespace {

using Vec = __m512i;
constexpr int kLanes = 16, kChannels = 4, kVectors = 2;
// g++ 12's unmasked min, max and shifts start from an undefined vector, which -Werror refuses.
constexpr __mmask16 kAll = 0xFFFF;

inline Vec zero() { return _mm512_setzero_si512(); }
inline Vec set(int32_t value) { return _mm512_set1_epi32(value); }
inline Vec load(const int32_t* from) { return _mm512_loadu_si512(from); }
inline void store(int32_t* to, Vec value) { _mm512_storeu_si512(to, value); }
inline Vec add(Vec a, Vec b) { return _mm512_add_epi32(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_epi32(a, b); }
inline Vec min(Vec a, Vec b) { return _mm512_maskz_min_epi32(kAll, a, b); }
inline Vec max(Vec a, Vec b) { return _mm512_maskz_max_epi32(kAll, a, b); }
inline Vec shift_left(Vec a, int n) {
  return _mm512_maskz_sll_epi32(kAll, a, _mm_cvtsi32_si128(n));
}
inline Vec shift_right(Vec a, int n) {
  return _mm512_maskz_sra_epi32(kAll, a, _mm_cvtsi32_si128(n));
}
inline Vec not_equal_ones(Vec a, Vec b) {
  return _mm512_maskz_set1_epi32(_mm512_cmpneq_epi32_mask(a, b), -1);
}
inline Vec pair_add(Vec sum, Vec x, Vec w) { return _mm512_dpwssd_epi32(sum, x, w); }
inline Vec bit_or(Vec a, Vec b) { return _mm512_or_si512(a, b); }
inline Vec bit_and(Vec a, Vec b) { return _mm512_and_si512(a, b); }
inline Vec load_unsigned16(const int16_t* from) {
  const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_maskz_cvtepu16_epi32(kAll, values);
}

}  // namespace
}  // namespace widthwise::avx512_vnni
#include "sim/kernel_body.h"

namespace widthwise {
const KernelTable kAvx512VnniKernels{"avx512_vnni",           avx512_vnni::kPanelPixels,
                                     avx512_vnni::run,        avx512_vnni::make_patch,
                                     avx512_vnni::requantize, avx512_vnni::elementwise,
                                     avx512_vnni::census,     &kAvx512VnniByteKernels};
}
