#pragma once
#include <array>
#include <cstdint>

#include "core/integer_format.h"

namespace widthwise {

// What becomes of an exact value that does not fit. ap_fixed's and SystemC's names for these:
// docs/datapath.md.
enum class OverflowPolicy {
  kWrap,               // the low bits are kept
  kSaturate,           // the nearest end
  kSaturateZero,       // 0
  kSaturateSymmetric,  // the nearest end of -(2^(bits-1) - 1)..2^(bits-1) - 1: the least is no
                       // value
  kWrapSaturatedBits,  // the low bits are kept but for the top n, which are those of the nearest
                       // end
  kWrapSignMagnitude,  // the low bits are kept, all inverted if the bit above them is not their
                       // sign
};
inline constexpr std::array kOverflowPolicies = {OverflowPolicy::kWrap,
                                                 OverflowPolicy::kSaturate,
                                                 OverflowPolicy::kSaturateZero,
                                                 OverflowPolicy::kSaturateSymmetric,
                                                 OverflowPolicy::kWrapSaturatedBits,
                                                 OverflowPolicy::kWrapSignMagnitude};

// As an accelerator description says it.
constexpr const char* overflow_policy_name(OverflowPolicy policy) {
  switch (policy) {
    case OverflowPolicy::kWrap:
      return "wrap";
    case OverflowPolicy::kSaturate:
      return "saturate";
    case OverflowPolicy::kSaturateZero:
      return "saturate_zero";
    case OverflowPolicy::kSaturateSymmetric:
      return "saturate_symmetric";
    case OverflowPolicy::kWrapSaturatedBits:
      return "wrap_saturated_bits";
    case OverflowPolicy::kWrapSignMagnitude:
      return "wrap_sign_magnitude";
  }
  return "";
}

// The policies that the kernels, the census and the generated arrays know.
constexpr bool is_wrap_or_saturate(OverflowPolicy policy) {
  return policy == OverflowPolicy::kWrap || policy == OverflowPolicy::kSaturate;
}

// The least value that fits; the greatest is format.max() under every policy.
constexpr int64_t least_fitting(IntegerFormat format, OverflowPolicy policy) {
  const bool symmetric = policy == OverflowPolicy::kSaturateSymmetric && format.is_signed;
  return symmetric ? -format.max() : format.min();
}

// Fits an exact value into a format of 1..62 bits. saturated_bits: n of kWrapSaturatedBits,
// 0..bits (0 is kWrap, bits is kSaturate); the other policies have none. kWrapSignMagnitude is for
// signed formats.
constexpr int64_t fit(int64_t value, IntegerFormat format, OverflowPolicy policy,
                      int saturated_bits = 0) {
  const int64_t low = least_fitting(format, policy), high = format.max();
  if (value >= low && value <= high) return value;
  const int64_t end = value < low ? low : high;
  // The low `bits` of the value with the rest of another one's.
  const auto low_bits = [value](int bits, int64_t rest) {
    const auto mask = static_cast<int64_t>((uint64_t{1} << bits) - 1);
    return (value & mask) | (rest & ~mask);
  };
  if (policy == OverflowPolicy::kSaturateZero) return 0;
  if (policy == OverflowPolicy::kSaturate || policy == OverflowPolicy::kSaturateSymmetric) {
    return end;
  }
  if (policy == OverflowPolicy::kWrapSaturatedBits && saturated_bits > 0) {
    return low_bits(format.bits - saturated_bits, end);
  }
  const int64_t unsigned_wrap = low_bits(format.bits, 0);
  const bool negative = format.is_signed && unsigned_wrap >> (format.bits - 1) != 0;
  const int64_t wrapped = negative ? low_bits(format.bits, -1) : unsigned_wrap;
  const bool above = ((value >> format.bits) & 1) != 0;
  return policy == OverflowPolicy::kWrapSignMagnitude && above != negative ? ~wrapped : wrapped;
}

// The same in two's complement.
constexpr int64_t fit(int64_t value, int bits, OverflowPolicy policy, int saturated_bits = 0) {
  return fit(value, IntegerFormat{bits, true}, policy, saturated_bits);
}

}  // namespace widthwise
