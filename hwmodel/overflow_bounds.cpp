#include "hwmodel/overflow_bounds.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace widthwise {
namespace {

// The ifmap's codes minus its zero point: an interval around 0.
SumBounds centred(IntegerFormat ifmap, int32_t zero_point) {
  if (!ifmap.holds(zero_point)) throw std::invalid_argument("zero point is no code of the ifmap");
  return {ifmap.min() - zero_point, ifmap.max() - zero_point};
}

// weight times an interval around 0 is an interval around 0.
SumBounds product(SumBounds ifmap, int64_t weight) {
  return weight < 0 ? SumBounds{ifmap.high * weight, ifmap.low * weight}
                    : SumBounds{ifmap.low * weight, ifmap.high * weight};
}

SumBounds with_bias(SumBounds sums, SumBounds bias, BiasMode mode) {
  const SumBounds biased{sums.low + bias.low, sums.high + bias.high};
  if (mode == BiasMode::kPreload) return biased;
  return {std::min(sums.low, biased.low), std::max(sums.high, biased.high)};
}

// As signed_bits() in core, beyond 64 bits by the upper half: below it all bits are needed.
int wide_signed_bits(__int128 value) {
  const auto low = static_cast<int64_t>(value);
  return low == value ? signed_bits(low) : 64 + signed_bits(static_cast<int64_t>(value >> 64));
}

}  // namespace

int SumBounds::bits() const { return std::max(wide_signed_bits(low), wide_signed_bits(high)); }

SumBounds weight_bounds(std::span<const int32_t> weights, IntegerFormat ifmap, int32_t zero_point,
                        int64_t bias, BiasMode mode) {
  const SumBounds codes = centred(ifmap, zero_point);
  SumBounds sums;
  for (const int32_t weight : weights) {
    const SumBounds addend = product(codes, weight);
    sums.low += addend.low;
    sums.high += addend.high;
  }
  return with_bias(sums, {bias, bias}, mode);
}

SumBounds data_type_bounds(IntegerFormat ifmap, int32_t zero_point, IntegerFormat weight,
                           int64_t reduction_length, bool unit_weights, SumBounds bias,
                           BiasMode mode) {
  if (reduction_length < 1) throw std::invalid_argument("reduction length must be 1 or more");
  const SumBounds codes = centred(ifmap, zero_point);
  const bool binary = weight.bits == 1 && weight.is_signed;
  const SumBounds least = product(codes, unit_weights ? 1 : weight.min());
  const SumBounds greatest = product(codes, unit_weights || binary ? 1 : weight.max());
  const SumBounds sums{reduction_length * std::min(least.low, greatest.low),
                       reduction_length * std::max(least.high, greatest.high)};
  return with_bias(sums, bias, mode);
}

int data_type_bound_bits(IntegerFormat ifmap, int32_t zero_point, IntegerFormat weight,
                         int64_t reduction_length, bool unit_weights) {
  return data_type_bounds(ifmap, zero_point, weight, reduction_length, unit_weights).bits();
}

int textbook_bits(int ifmap_bits, int weight_bits, int64_t reduction_length) {
  if (reduction_length < 1) throw std::invalid_argument("reduction length must be 1 or more");
  return ifmap_bits + weight_bits +
         static_cast<int>(std::bit_width(static_cast<uint64_t>(reduction_length - 1)));
}

}  // namespace widthwise
