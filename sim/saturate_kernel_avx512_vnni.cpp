#include "sim/byte_tile_avx512_vnni.h"
#include "sim/byte_vectors.h"
#include "sim/saturate_kernel.h"

namespace widthwise {
namespace {

inline __m128i load_16_bytes(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
inline __m256i load_32_bytes(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

// --- weights ---

void spread_int16(const SpreadWeightsJob& job) {
  for (int64_t i = 0; i < job.count * job.width * 2; ++i)
    store(job.to + i * 32, _mm512_cvtepi8_epi16(load_32_bytes(job.weights + i * 32)));
}

void spread_rails(const SpreadWeightsJob& job) {
  const Vec above = _mm512_set1_epi16(static_cast<int16_t>(~0U << job.form.bits));
  const int64_t vectors = job.width * 2;
  const auto put = [&](int64_t row, int64_t v, Vec w) {
    int16_t* to = job.to + (row * 2 * vectors + v) * 32;
    store(to, w);
    store(to + vectors * 32, _mm512_and_si512(_mm512_srai_epi16(w, 15), above));
  };
  for (int64_t row = 0; row < job.count; ++row) {
    for (int64_t v = 0; v < vectors; ++v) {
      const Vec w = _mm512_cvtepi8_epi16(load_32_bytes(job.weights + (row * vectors + v) * 32));
      put(row, v, w);
      if (!job.form.both_signs) continue;
      put(job.form.products + row, v, _mm512_sub_epi16(_mm512_setzero_si512(), w));
    }
  }
}

// Pairs of int16, of which the upper one meets 0.
void spread_int32(const SpreadWeightsJob& job) {
  const __m128i left = _mm_cvtsi32_si128(SaturateScale(job.form.bits).weight);
  for (int64_t i = 0; i < job.count * job.width * 4; ++i) {
    const Vec w = _mm512_cvtepi8_epi32(load_16_bytes(job.weights + i * 16));
    store(job.to + i * 32, _mm512_sll_epi32(w, left));
  }
}

void spread_weights(const SpreadWeightsJob& given) {
  const SpreadWeightsJob job = given;  // a copy of its own, which no store can change
  switch (job.form.lanes) {
    case SaturateLanes::kInt16:
      return spread_int16(job);
    case SaturateLanes::kInt16Rails:
      return spread_rails(job);
    case SaturateLanes::kInt32:
      return spread_int32(job);
  }
}

// --- values ---

// Calls visit(sixteen values, which of them are products, index of the first) for a window.
template <class Visit>
inline void for_each_sixteen(const ListValuesJob& job, const uint8_t* pixel, Visit&& visit) {
  const Vec zero = _mm512_set1_epi32(job.zero_byte);
  for (int64_t product = 0; product < job.products; product += kListBytes) {
    const int32_t* offsets = job.offsets + product / 4;
    alignas(64) uint8_t gathered[kListBytes];
    if (!job.together) store(gathered, _mm512_i32gather_epi32(load(offsets), pixel, 1));
    const uint8_t* bytes = job.together ? pixel + *offsets : gathered;
    const int64_t left = job.products - product;
    const uint64_t used = left < kListBytes ? (uint64_t{1} << left) - 1 : ~uint64_t{0};
    UNROLL for (int64_t i = 0; i < kListBytes; i += 16) {
      const Vec value = _mm512_sub_epi32(_mm512_cvtepu8_epi32(load_16_bytes(bytes + i)), zero);
      visit(value, static_cast<__mmask16>(used >> i), product + i);
    }
  }
}

template <SaturateLanes kLanes, bool kBothSigns>
int64_t list_others(ListValuesJob& given) {
  const ListValuesJob job = given;
  const auto row = static_cast<int32_t>(job.form.row_bytes());
  const Vec index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const Vec rows = _mm512_slli_epi32(_mm512_mullo_epi32(index, _mm512_set1_epi32(row)), 16);
  const Vec sixteen_rows = _mm512_set1_epi32(16 * row << 16);
  const Vec negative = _mm512_set1_epi32(static_cast<int32_t>(job.form.products * row) << 16);
  const __m128i left = _mm_cvtsi32_si128(SaturateScale(job.form.bits).ifmap);
  const Vec first_groups = _mm512_mullo_epi32(_mm512_srli_epi32(index, 1),
                                              _mm512_set1_epi32(static_cast<int32_t>(kListGroup)));
  const Vec none = _mm512_setzero_si512();
  int64_t n = 0, listed = 0;
  ListGroup* groups = job.groups;
  for (int64_t p = 0; p < job.count; ++p) {
    const int64_t begin = n;
    Vec next = rows;
    for_each_sixteen(job, job.pixels[p], [&](Vec value, __mmask16 used, int64_t) {
      const __mmask16 other = _mm512_mask_test_epi32_mask(used, value, value);
      Vec place = next;
      next = _mm512_add_epi32(next, sixteen_rows);
      if constexpr (kLanes == SaturateLanes::kInt32) value = _mm512_sll_epi32(value, left);
      if constexpr (kLanes == SaturateLanes::kInt16Rails && kBothSigns) {
        place = _mm512_mask_add_epi32(place, _mm512_movepi32_mask(value), place, negative);
        value = _mm512_abs_epi32(value);
      }
      Vec both = _mm512_mask_blend_epi16(0xAAAAAAAA, value, place);
      both = _mm512_maskz_compress_epi32(other, both);
      store(job.places + n, _mm512_srli_epi32(both, 16));
      constexpr __mmask32 kUpper = 0xAAAAAAAA;
      both = kLanes == SaturateLanes::kInt32
                 ? _mm512_maskz_mov_epi16(~kUpper, both)
                 : _mm512_mask_blend_epi16(kUpper, both, _mm512_slli_epi32(both, 16));
      store(job.values + n, both);
      n += __builtin_popcount(other);
    });
    listed += n - begin;
    store(job.values + n, none);
    store(job.places + n, none);
    const int64_t count = (n - begin + kListGroup - 1) / kListGroup;
    Vec group = _mm512_mask_mov_epi32(
        _mm512_add_epi32(first_groups, _mm512_set1_epi32(static_cast<int32_t>(begin))), 0xAAAA,
        _mm512_set1_epi32(static_cast<int32_t>(p)));
    for (int64_t i = 0; i < count; i += 8) {
      store(groups + i, group);
      group = _mm512_mask_add_epi32(group, 0x5555, group,
                                    _mm512_set1_epi32(static_cast<int32_t>(8 * kListGroup)));
    }
    groups += count;
    n = begin + count * kListGroup;
  }
  given.group_count = groups - job.groups;
  return listed;
}

// Zeros, too.
int64_t copy_values(const ListValuesJob& given) {
  const ListValuesJob job = given;
  const __m128i left = _mm_cvtsi32_si128(SaturateScale(job.form.bits).ifmap);
  int64_t others = 0;
  for (int64_t p = 0; p < job.count; ++p) {
    int32_t* values = job.values + p * job.form.products;
    for_each_sixteen(job, job.pixels[p], [&](Vec value, __mmask16 used, int64_t first) {
      others += __builtin_popcount(_mm512_mask_test_epi32_mask(used, value, value));
      store(values + first, _mm512_maskz_mov_epi16(0x55555555, _mm512_sll_epi32(value, left)));
    });
  }
  return others;
}

int64_t list_values(ListValuesJob& job) {
  switch (job.form.lanes) {
    case SaturateLanes::kInt16:
      return list_others<SaturateLanes::kInt16, true>(job);
    case SaturateLanes::kInt16Rails:
      return job.form.both_signs ? list_others<SaturateLanes::kInt16Rails, true>(job)
                                 : list_others<SaturateLanes::kInt16Rails, false>(job);
    default:
      return job.all ? copy_values(job) : list_others<SaturateLanes::kInt32, true>(job);
  }
}

// --- additions ---

// The sums of one pixel, while a group's values are added. Of two groups in turn, so that none
// waits for its own sums.
template <int kWidth, bool kRails>
struct Int16Sums {
  static constexpr int kVectors = kWidth * 2;
  Vec sum[kVectors], inverted[kVectors];
  int16_t* at;
  void begin(void* sums, int64_t pixel) {
    at = static_cast<int16_t*>(sums) + pixel * kWidth * kTileChannels;
    UNROLL for (int v = 0; v < kVectors; ++v) {
      sum[v] = load(at + v * 32);
      inverted[v] = _mm512_setzero_si512();
    }
  }
  void add(Vec value, const uint8_t* row) {
    UNROLL for (int v = 0; v < kVectors; ++v) {
      if constexpr (kRails) {
        const Vec wanted = load(row + (kVectors + v) * 64);
        sum[v] = _mm512_ternarylogic_epi32(sum[v], inverted[v], wanted, 0x96);  // xor of all
        inverted[v] = wanted;
      }
      sum[v] = _mm512_adds_epi16(sum[v], _mm512_mullo_epi16(value, load(row + v * 64)));
    }
  }
  void end() {
    UNROLL for (int v = 0; v < kVectors; ++v) {
      if constexpr (kRails) sum[v] = _mm512_xor_si512(sum[v], inverted[v]);
      store(at + v * 32, sum[v]);
    }
  }
};

template <int kWidth>
struct Int32Sums {
  static constexpr int kVectors = kWidth * 4;
  Vec sum[kVectors];
  int32_t* at;
  void begin(void* sums, int64_t pixel) {
    at = static_cast<int32_t*>(sums) + pixel * kWidth * kTileChannels;
    UNROLL for (int v = 0; v < kVectors; ++v) sum[v] = load(at + v * 16);
  }
  void add(Vec value, const uint8_t* row) {
    UNROLL for (int v = 0; v < kVectors; ++v) {
      sum[v] = _mm512_dpwssds_epi32(sum[v], value, load(row + v * 64));
    }
  }
  void end() { UNROLL for (int v = 0; v < kVectors; ++v) store(at + v * 16, sum[v]); }
};

template <class Sums, int kWidth>
void add_groups(const AddListedJob& given) {
  const AddListedJob job = given;
  const auto* weights = reinterpret_cast<const uint8_t*>(job.weights);
  int64_t second = job.group_count / 2;  // where another pixel begins
  while (second > 0 && job.groups[second].pixel == job.groups[second - 1].pixel) --second;
  const int64_t both = second < job.group_count - second ? second : job.group_count - second;
  for (int64_t g = 0; g < both; ++g) {
    const ListGroup ga = job.groups[g], gb = job.groups[second + g];
    Sums a, b;
    a.begin(job.sums, ga.pixel);
    b.begin(job.sums, gb.pixel);
    UNROLL for (int i = 0; i < kListGroup; ++i) {
      a.add(_mm512_set1_epi32(job.values[ga.first + i]),
            weights + int64_t{job.places[ga.first + i]} * kWidth);
      b.add(_mm512_set1_epi32(job.values[gb.first + i]),
            weights + int64_t{job.places[gb.first + i]} * kWidth);
    }
    a.end();
    b.end();
  }
  const auto add_one = [&](const ListGroup group) {
    Sums a;
    a.begin(job.sums, group.pixel);
    UNROLL for (int i = 0; i < kListGroup; ++i) {
      a.add(_mm512_set1_epi32(job.values[group.first + i]),
            weights + int64_t{job.places[group.first + i]} * kWidth);
    }
    a.end();
  };
  for (int64_t g = both; g < second; ++g) add_one(job.groups[g]);
  for (int64_t g = second + both; g < job.group_count; ++g) add_one(job.groups[g]);
}

template <int kWidth>
void add_listed_of(const AddListedJob& job) {
  switch (job.form.lanes) {
    case SaturateLanes::kInt16:
      return add_groups<Int16Sums<kWidth, false>, kWidth>(job);
    case SaturateLanes::kInt16Rails:
      return add_groups<Int16Sums<kWidth, true>, kWidth>(job);
    case SaturateLanes::kInt32:
      return add_groups<Int32Sums<kWidth>, kWidth>(job);
  }
}
void add_listed(const AddListedJob& job) {
  job.width == 1 ? add_listed_of<1>(job) : add_listed_of<kMaxWidth>(job);
}

template <int kPixels>
void add_all_of(const AddAllJob& job, const int32_t* pixels, int64_t channel) {
  TileSums<kPixels, kTileVectors> sum;
  const int32_t* values[kPixels];
  const int64_t channels = job.width * kTileChannels;
  UNROLL for (int p = 0; p < kPixels; ++p) {
    values[p] = job.values + pixels[p] * job.form.products;
    UNROLL for (int v = 0; v < kTileVectors; ++v) {
      sum.v[p][v] = load(job.sums + pixels[p] * channels + channel + v * 16);
    }
  }
  const int16_t* weights = job.weights + channel * 2;
  for (int64_t product = 0; product < job.products; ++product, weights += channels * 2) {
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
      store(job.sums + pixels[p] * channels + channel + v * 16, sum.v[p][v]);
    }
  }
}

template <int kMost>
void add_all_tile(const AddAllJob& job, const int32_t* pixels, int64_t count, int64_t channel) {
  if (kMost == 1 || count == kMost) return add_all_of<kMost>(job, pixels, channel);
  if constexpr (kMost > 1) add_all_tile<kMost - 1>(job, pixels, count, channel);
}
void add_all(const AddAllJob& job) {
  for (int64_t channel = 0; channel < job.width * kTileChannels; channel += kTileChannels) {
    for_each_tile(job.count, kTilePixels, [&](int64_t first, int64_t count) {
      add_all_tile<kTilePixels>(job, job.pixels + first, count, channel);
    });
  }
}

// --- sums ---

// Where sums of `bits` lie in int16 if its end is their upper rail.
inline int32_t int16_offset(int bits) { return (1 << 15) - (1 << (bits - 1)); }

void begin_sums(const SaturatedSumsJob& job) {
  const __m128i left = _mm_cvtsi32_si128(32 - job.form.bits);
  for (int64_t v = 0; v < kTileVectors; ++v) {
    const Vec start = load(job.start + v * 16);
    if (job.form.lanes == SaturateLanes::kInt32) {
      store(static_cast<int32_t*>(job.kept) + v * 16, _mm512_sll_epi32(start, left));
    } else {
      const Vec moved = _mm512_add_epi32(start, _mm512_set1_epi32(int16_offset(job.form.bits)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(static_cast<int16_t*>(job.kept) + v * 16),
                          _mm512_cvtepi32_epi16(moved));
    }
  }
}

void end_sums(const SaturatedSumsJob& job) {
  const __m128i right = _mm_cvtsi32_si128(32 - job.form.bits);
  const int32_t half = 1 << (job.form.bits - 1);
  for (int64_t v = 0; v < kTileVectors; ++v) {
    Vec sum;
    if (job.form.lanes == SaturateLanes::kInt32) {
      sum = _mm512_sra_epi32(load(static_cast<int32_t*>(job.kept) + v * 16), right);
    } else {
      const Vec moved =
          _mm512_cvtepi16_epi32(load_32_bytes(static_cast<int16_t*>(job.kept) + v * 16));
      sum = _mm512_sub_epi32(moved, _mm512_set1_epi32(int16_offset(job.form.bits)));
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
    case 8:
      return within_fits<8>(tile, margin);
    default:
      return within_fits<16>(tile, margin);
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
