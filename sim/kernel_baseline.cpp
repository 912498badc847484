#include <emmintrin.h>

#include "sim/kernel.h"

#define WIDTHWISE_ISA_NAMESPACE baseline
namespace widthwise::baseline {
namespace {

using Vec = __m128i;
constexpr int kLanes = 4, kChannels = 2, kVectors = 2;

inline Vec zero() { return _mm_setzero_si128(); }
inline Vec set(int32_t value) { return _mm_set1_epi32(value); }
inline Vec load(const int32_t* from) { return _mm_loadu_si128(reinterpret_cast<const Vec*>(from)); }
inline void store(int32_t* to, Vec value) { _mm_storeu_si128(reinterpret_cast<Vec*>(to), value); }
inline Vec add(Vec a, Vec b) { return _mm_add_epi32(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm_sub_epi32(a, b); }
inline Vec pick(Vec mask, Vec a, Vec b) {
  return _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b));
}
inline Vec min(Vec a, Vec b) { return pick(_mm_cmplt_epi32(a, b), a, b); }
inline Vec max(Vec a, Vec b) { return pick(_mm_cmpgt_epi32(a, b), a, b); }
inline Vec shift_left(Vec a, int n) { return _mm_sll_epi32(a, _mm_cvtsi32_si128(n)); }
inline Vec shift_right(Vec a, int n) { return _mm_sra_epi32(a, _mm_cvtsi32_si128(n)); }
inline Vec not_equal_ones(Vec a, Vec b) {
  return _mm_xor_si128(_mm_cmpeq_epi32(a, b), _mm_set1_epi32(-1));
}
inline Vec pair_add(Vec sum, Vec x, Vec w) { return _mm_add_epi32(sum, _mm_madd_epi16(x, w)); }
inline Vec bit_or(Vec a, Vec b) { return _mm_or_si128(a, b); }
inline Vec bit_and(Vec a, Vec b) { return _mm_and_si128(a, b); }
inline Vec load_unsigned16(const int16_t* from) {
  return _mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const Vec*>(from)),
                            _mm_setzero_si128());
}

}  // namespace
}  // namespace widthwise::baseline
#include "sim/kernel_body.h"

namespace widthwise {
const KernelTable kBaselineKernels{
    "baseline",           baseline::kPanelPixels, baseline::run,    baseline::make_patch,
    baseline::requantize, baseline::elementwise,  baseline::census, nullptr};
}
