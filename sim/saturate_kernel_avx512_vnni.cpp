#include "sim/byte_tile_avx512_vnni.h"
#include "sim/byte_vectors.h"
#include "sim/saturate_kernel.h"

namespace widthwise {
namespace {

constexpr int64_t kRow16 = kTileChannels * 2;  // bytes of a product's weights
constexpr int64_t kRowRails = 2 * kRow16;      // and of what must be inverted for them
constexpr int64_t kRow32 = kTileChannels * 4;

inline __m128i load_16_bytes(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
inline __m256i load_32_bytes(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

// --- weights ---

void spread_int16(const SpreadWeightsJob& job) {
  for (int64_t i = 0; i < job.products * 2; ++i)
    store(job.to + i * 32, _mm512_cvtepi8_epi16(load_32_bytes(job.weights + i * 32)));
}

// With the weights for negative values, of the other sign, in the second half.
void spread_rails(const SpreadWeightsJob& job) {
  const Vec above = _mm512_set1_epi16(static_cast<int16_t>(~0U << job.bits));
  const auto put = [&](int64_t product, int64_t v, Vec w) {
    int16_t* to = job.to + product * kRowRails / 2 + v * 32;
    store(to, w);
    store(to + kTileChannels, _mm512_and_si512(_mm512_srai_epi16(w, 15), above));
  };
  for (int64_t i = 0; i < job.products * 2; ++i) {
    const Vec w = _mm512_cvtepi8_epi16(load_32_bytes(job.weights + i * 32));
    put(i / 2, i % 2, w);
    if (!job.both_signs) continue;
    put(kSaturateProducts / 2 + i / 2, i % 2, _mm512_sub_epi16(_mm512_setzero_si512(), w));
  }
}

// A pair of int16 with a weight and 0.
void spread_int32(const SpreadWeightsJob& job) {
  const __m128i left = _mm_cvtsi32_si128(16 + SaturateScale(job.bits).weight);
  for (int64_t i = 0; i < job.products * 4; ++i) {
    const Vec w = _mm512_cvtepi8_epi32(load_16_bytes(job.weights + i * 16));
    store(job.to + i * 32, _mm512_srli_epi32(_mm512_sll_epi32(w, left), 16));
  }
}

void spread_weights(const SpreadWeightsJob& job) {
  switch (job.lanes) {
    case SaturateLanes::kInt16:
      return spread_int16(job);
    case SaturateLanes::kInt16Rails:
      return spread_rails(job);
    case SaturateLanes::kInt32:
      return spread_int32(job);
  }
}

// --- values ---

// Sixteen values, those in `used` that are not 0 from values[n] on; returns how many.
template <SaturateLanes kLanes, bool kBothSigns>
inline int64_t list_sixteen(const ListValuesJob& job, Vec value, Vec place, __mmask16 used,
                            int64_t n) {
  const __mmask16 listed = _mm512_mask_test_epi32_mask(used, value, value);
  if constexpr (kLanes == SaturateLanes::kInt32) {
    const __m128i left = _mm_cvtsi32_si128(SaturateScale(job.bits).ifmap);
    value = _mm512_sll_epi32(value, left);
  } else {
    if constexpr (kLanes == SaturateLanes::kInt16Rails && kBothSigns) {
      const Vec half = _mm512_set1_epi32(kSaturateProducts / 2 * kRowRails);
      place = _mm512_mask_add_epi32(place, _mm512_movepi32_mask(value), place, half);
      value = _mm512_abs_epi32(value);
    }
    value = _mm512_mask_blend_epi16(0xAAAAAAAA, value, _mm512_slli_epi32(value, 16));
  }
  store(job.values + n, _mm512_maskz_compress_epi32(listed, value));
  store(job.places + n, _mm512_maskz_compress_epi32(listed, place));
  return __builtin_popcount(listed);
}

template <SaturateLanes kLanes, bool kBothSigns>
int64_t list_all(const ListValuesJob& job) {
  constexpr int64_t kRow = kLanes == SaturateLanes::kInt16        ? kRow16
                           : kLanes == SaturateLanes::kInt16Rails ? kRowRails
                                                                  : kRow32;
  const Vec zero = _mm512_set1_epi32(job.zero_byte);
  const Vec first =
      _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                         _mm512_set1_epi32(kRow));
  const Vec none = _mm512_setzero_si512();
  int64_t n = 0, listed = 0;
  for (int64_t p = 0; p < job.count; ++p) {
    const int64_t begin = n;
    Vec place = first;
    for (int64_t product = 0; product < job.products; product += 64) {
      const int32_t* offsets = job.offsets + product / 4;
      alignas(64) uint8_t bytes[64];
      store(bytes, job.together ? load(job.pixels[p] + *offsets)
                                : _mm512_i32gather_epi32(load(offsets), job.pixels[p], 1));
      for (int64_t i = 0; i < 64 && product + i < job.products; i += 16) {
        const int64_t left = job.products - product - i;
        const auto used = static_cast<__mmask16>(left >= 16 ? 0xFFFF : (1 << left) - 1);
        const Vec value = _mm512_sub_epi32(_mm512_cvtepu8_epi32(load_16_bytes(bytes + i)), zero);
        n += list_sixteen<kLanes, kBothSigns>(job, value, place, used, n);
        place = _mm512_add_epi32(place, _mm512_set1_epi32(16 * kRow));
      }
    }
    listed += n - begin;
    store(job.values + n, none);
    store(job.places + n, none);
    const int64_t groups = (n - begin + kListGroup - 1) / kListGroup;
    job.groups[p] = static_cast<int32_t>(groups);
    n = begin + groups * kListGroup;
  }
  return listed;
}

// Zeros, too.
int64_t copy_values(const ListValuesJob& job) {
  const Vec zero = _mm512_set1_epi32(job.zero_byte);
  const __m128i left = _mm_cvtsi32_si128(SaturateScale(job.bits).ifmap);
  int64_t others = 0;
  for (int64_t p = 0; p < job.count; ++p) {
    int32_t* values = job.values + p * kSaturateProducts;
    for (int64_t product = 0; product < job.products; product += 64) {
      const int32_t* offsets = job.offsets + product / 4;
      alignas(64) uint8_t bytes[64];
      store(bytes, job.together ? load(job.pixels[p] + *offsets)
                                : _mm512_i32gather_epi32(load(offsets), job.pixels[p], 1));
      for (int64_t i = 0; i < 64; i += 16) {
        const Vec value = _mm512_sub_epi32(_mm512_cvtepu8_epi32(load_16_bytes(bytes + i)), zero);
        others += __builtin_popcount(_mm512_test_epi32_mask(value, value));
        store(values + product + i, _mm512_sll_epi32(value, left));
      }
    }
  }
  return others;
}

int64_t list_values(const ListValuesJob& job) {
  switch (job.lanes) {
    case SaturateLanes::kInt16:
      return list_all<SaturateLanes::kInt16, true>(job);
    case SaturateLanes::kInt16Rails:
      return job.both_signs ? list_all<SaturateLanes::kInt16Rails, true>(job)
                            : list_all<SaturateLanes::kInt16Rails, false>(job);
    default:
      return job.all ? copy_values(job) : list_all<SaturateLanes::kInt32, true>(job);
  }
}

// --- additions ---

template <bool kRails>
void add_listed_int16(const AddListedJob& job) {
  const auto* weights = reinterpret_cast<const uint8_t*>(job.weights);
  auto* all = static_cast<int16_t*>(job.sums);
  for (int64_t g = 0; g < job.group_count; ++g) {
    const int32_t *values = job.values + job.groups[g].first,
                  *places = job.places + job.groups[g].first;
    int16_t* sums = all + job.groups[g].pixel * kTileChannels;
    Vec a = load(sums), b = load(sums + 32);
    Vec inverted_a = _mm512_setzero_si512(), inverted_b = inverted_a;
    UNROLL for (int i = 0; i < kListGroup; ++i) {
      const uint8_t* w = weights + places[i];
      const Vec value = _mm512_set1_epi32(values[i]);
      if constexpr (kRails) {
        const Vec wanted_a = load(w + kRow16), wanted_b = load(w + kRow16 + 64);
        a = _mm512_ternarylogic_epi32(a, inverted_a, wanted_a, 0x96);
        b = _mm512_ternarylogic_epi32(b, inverted_b, wanted_b, 0x96);
        inverted_a = wanted_a;
        inverted_b = wanted_b;
      }
      a = _mm512_adds_epi16(a, _mm512_mullo_epi16(value, load(w)));
      b = _mm512_adds_epi16(b, _mm512_mullo_epi16(value, load(w + 64)));
    }
    if constexpr (kRails) {
      a = _mm512_xor_si512(a, inverted_a);
      b = _mm512_xor_si512(b, inverted_b);
    }
    store(sums, a);
    store(sums + 32, b);
  }
}

void add_listed_int32(const AddListedJob& job) {
  const auto* weights = reinterpret_cast<const uint8_t*>(job.weights);
  auto* all = static_cast<int32_t*>(job.sums);
  for (int64_t g = 0; g < job.group_count; ++g) {
    const int32_t *values = job.values + job.groups[g].first,
                  *places = job.places + job.groups[g].first;
    int32_t* sums = all + job.groups[g].pixel * kTileChannels;
    Vec sum[kTileVectors];
    UNROLL for (int v = 0; v < kTileVectors; ++v) sum[v] = load(sums + v * 16);
    UNROLL for (int i = 0; i < kListGroup; ++i) {
      const uint8_t* w = weights + places[i];
      const Vec value = _mm512_set1_epi32(values[i]);
      UNROLL for (int v = 0; v < kTileVectors; ++v) {
        sum[v] = _mm512_dpwssds_epi32(sum[v], value, load(w + v * 64));
      }
    }
    UNROLL for (int v = 0; v < kTileVectors; ++v) store(sums + v * 16, sum[v]);
  }
}

void add_listed(const AddListedJob& job) {
  switch (job.lanes) {
    case SaturateLanes::kInt16:
      return add_listed_int16<false>(job);
    case SaturateLanes::kInt16Rails:
      return add_listed_int16<true>(job);
    case SaturateLanes::kInt32:
      return add_listed_int32(job);
  }
}

template <int kPixels>
void add_all_of(const AddAllJob& job, const int32_t* pixels) {
  TileSums<kPixels, kTileVectors> sum;
  const int32_t* values[kPixels];
  UNROLL for (int p = 0; p < kPixels; ++p) {
    values[p] = job.values + pixels[p] * kSaturateProducts;
    UNROLL for (int v = 0; v < kTileVectors; ++v) {
      sum.v[p][v] = load(job.sums + pixels[p] * kTileChannels + v * 16);
    }
  }
  const int16_t* weights = job.weights;
  for (int64_t product = 0; product < job.products; ++product, weights += kRow32 / 2) {
    Vec w[kTileVectors];
    UNROLL for (int v = 0; v < kTileVectors; ++v) w[v] = load(weights + v * 32);
    UNROLL for (int p = 0; p < kPixels; ++p) {
      const Vec value = _mm512_set1_epi32(values[p][product]);
      UNROLL for (int v = 0; v < kTileVectors; ++v) {
        sum.v[p][v] = _mm512_dpwssds_epi32(sum.v[p][v], w[v], value);
      }
    }
  }
  UNROLL for (int p = 0; p < kPixels; ++p) {
    UNROLL for (int v = 0; v < kTileVectors; ++v) {
      store(job.sums + pixels[p] * kTileChannels + v * 16, sum.v[p][v]);
    }
  }
}

void add_all(const AddAllJob& job) {
  int64_t p = 0;
  for (; p + 6 <= job.count; p += 6) add_all_of<6>(job, job.pixels + p);
  for (; p + 3 <= job.count; p += 3) add_all_of<3>(job, job.pixels + p);
  for (; p < job.count; ++p) add_all_of<1>(job, job.pixels + p);
}

// --- sums ---

// Where sums of `bits` lie in int16 if its end is their upper rail.
inline int32_t int16_offset(int bits) { return (1 << 15) - (1 << (bits - 1)); }

void begin_sums(const SaturatedSumsJob& job) {
  const __m128i left = _mm_cvtsi32_si128(32 - job.bits);
  for (int64_t v = 0; v < kTileVectors; ++v) {
    const Vec start = load(job.start + v * 16);
    if (job.lanes == SaturateLanes::kInt32) {
      store(static_cast<int32_t*>(job.kept) + v * 16, _mm512_sll_epi32(start, left));
    } else {
      const Vec moved = _mm512_add_epi32(start, _mm512_set1_epi32(int16_offset(job.bits)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(static_cast<int16_t*>(job.kept) + v * 16),
                          _mm512_cvtepi32_epi16(moved));
    }
  }
}

void end_sums(const SaturatedSumsJob& job) {
  const __m128i right = _mm_cvtsi32_si128(32 - job.bits);
  const int32_t half = 1 << (job.bits - 1);
  for (int64_t v = 0; v < kTileVectors; ++v) {
    Vec sum;
    if (job.lanes == SaturateLanes::kInt32) {
      sum = _mm512_sra_epi32(load(static_cast<int32_t*>(job.kept) + v * 16), right);
    } else {
      const Vec moved =
          _mm512_cvtepi16_epi32(load_32_bytes(static_cast<int16_t*>(job.kept) + v * 16));
      sum = _mm512_sub_epi32(moved, _mm512_set1_epi32(int16_offset(job.bits)));
    }
    if (job.last != nullptr) {
      sum = _mm512_add_epi32(sum, load(job.last + v * 16));
      sum = _mm512_max_epi32(sum, _mm512_set1_epi32(-half));
      sum = _mm512_min_epi32(sum, _mm512_set1_epi32(half - 1));
    }
    store(job.sums + v * 16, sum);
  }
}

// --- watching ---

template <int kFit, bool kCorrected>
struct Within {
  template <int kPixels, int kVectors>
  static bool run(const Part& part, int32_t margin) {
    TileSums<kPixels, kVectors> sum;
    const int32_t half = 1 << (part.tile.bits - 1);
    const Vec most = _mm512_set1_epi32(2 * (half - margin) - 1);
    Vec outside =
        _mm512_setzero_si512();  // below 0 where a sum, `half - margin` higher, is not within
    run_tree<kFit, kCorrected>(part, half - margin, sum, [&] {
      UNROLL for (int v = 0; v < kVectors; ++v) {
        UNROLL for (int p = 0; p < kPixels; ++p) {
          const Vec above = _mm512_sub_epi32(most, sum.v[p][v]);
          outside = _mm512_ternarylogic_epi32(outside, sum.v[p][v], above, 0xFE);
        }
      }
    });
    return _mm512_movepi32_mask(outside) == 0;
  }
};

template <int kFit>
bool within_fits(const ByteTile& tile, int32_t margin) {
  return tile.zero_byte != 0
             ? run_parts<Within<kFit, true>, kSaturatePixels, kTileVectors>(tile, margin)
             : run_parts<Within<kFit, false>, kSaturatePixels, kTileVectors>(tile, margin);
}

bool within(const ByteTile& tile, int32_t margin) {
  switch (tile.quads_per_fit) {
    case 2:
      return within_fits<2>(tile, margin);
    case 4:
      return within_fits<4>(tile, margin);
    default:
      return within_fits<8>(tile, margin);
  }
}

}  // namespace

const SaturateKernelTable kAvx512VnniSaturateKernels{
    .within = within,
    .spread_weights = spread_weights,
    .list_values = list_values,
    .add_listed = add_listed,
    .add_all = add_all,
    .begin_sums = begin_sums,
    .end_sums = end_sums,
};

}  // namespace widthwise
