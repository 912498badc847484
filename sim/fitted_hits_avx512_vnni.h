#pragma once
#include "sim/byte_kernel.h"
#include "sim/byte_vectors.h"

namespace widthwise {
namespace {

// Of fitted_hits, for the outputs of a vector.
struct Crossing {
  Vec low, high;  // with the bias
  Vec differ;     // bits
  Vec middle, most;
  __mmask16 crosses;
};
inline Crossing crossing(Vec bias, Vec low, Vec high) {
  Crossing c;
  c.low = _mm512_min_epi32(low, bias);
  c.high = _mm512_max_epi32(high, bias);
  c.differ = _mm512_xor_si512(c.low, c.high);
  const Vec ones = _mm512_srlv_epi32(_mm512_set1_epi32(-1), _mm512_lzcnt_epi32(c.differ));
  c.middle = _mm512_andnot_si512(_mm512_srli_epi32(ones, 1), c.high);
  c.most =
      _mm512_max_epi32(_mm512_sub_epi32(c.high, c.middle),
                       _mm512_add_epi32(_mm512_sub_epi32(c.middle, c.low), _mm512_set1_epi32(-1)));
  const Vec outer = _mm512_mask_mov_epi32(c.high, _mm512_movepi32_mask(bias), c.low);
  c.crosses = _mm512_cmpneq_epi32_mask(outer, bias);
  return c;
}

// Lowers free_high and raises free_low to what leaves fitted_hits as they are.
inline void keep_fitted_hits(const FittedStarts& starts, int64_t channel, Vec low, Vec high,
                             Vec& free_low, Vec& free_high) {
  const Vec bias = load(starts.bias + channel), free_from = load(starts.free_from + channel);
  const Crossing c = crossing(bias, low, high);
  // 2^n - 1 for numbers of n bits.
  const auto ones = [](Vec number) {
    return _mm512_srlv_epi32(_mm512_set1_epi32(-1), _mm512_lzcnt_epi32(number));
  };
  const Vec room = ones(c.most);
  const __mmask16 wraps = _mm512_cmplt_epi32_mask(c.most, free_from);
  free_high = _mm512_mask_min_epi32(free_high, wraps, free_high, _mm512_add_epi32(c.middle, room));
  const Vec lowest = _mm512_add_epi32(c.middle, _mm512_xor_si512(room, _mm512_set1_epi32(-1)));
  const __mmask16 apart = _mm512_test_epi32_mask(c.differ, c.differ);
  free_low =
      _mm512_mask_max_epi32(free_low, wraps, free_low, _mm512_mask_mov_epi32(c.low, apart, lowest));
  const Vec range = _mm512_sub_epi32(c.high, c.low);
  const auto saturates = static_cast<__mmask16>(
      ~c.crosses & _mm512_cmplt_epi32_mask(range, _mm512_add_epi32(free_from, free_from)));
  const auto below = _mm512_movepi32_mask(bias);  // the bias is at the lower rail
  const Vec reach = ones(_mm512_or_si512(range, _mm512_set1_epi32(1)));
  free_high = _mm512_mask_min_epi32(free_high, saturates, free_high,
                                    _mm512_mask_add_epi32(bias, below, bias, reach));
  free_low = _mm512_mask_max_epi32(
      free_low, saturates, free_low,
      _mm512_mask_sub_epi32(bias, static_cast<__mmask16>(~below), bias, reach));
}

}  // namespace
}  // namespace widthwise
