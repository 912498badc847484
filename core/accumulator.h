#pragma once
#include <cstdint>

#include "core/overflow.h"

namespace widthwise {

inline constexpr int kMinAccumulatorBits = 2;
inline constexpr int kMaxAccumulatorBits = 48;

// A signed two's-complement accumulator, bit-exact to the adder of the generated PE. The start
// value is fitted and not counted. kWrap sums do not depend on the order of addition; those of the
// other policies do, so add in hardware order.
class Accumulator {
 public:
  // 2 <= bits <= 62; saturated_bits as in fit().
  constexpr Accumulator(int bits, OverflowPolicy policy, int64_t start = 0, int saturated_bits = 0)
      : bits_(bits),
        policy_(policy),
        saturated_bits_(saturated_bits),
        value_(fit(start, bits, policy, saturated_bits)) {}

  constexpr void add(int64_t addend) {  // |addend| < 2^62
    const int64_t exact = value_ + addend;
    value_ = fit(exact, bits_, policy_, saturated_bits_);
    overflow_count_ += value_ != exact;
  }
  constexpr int64_t value() const { return value_; }
  constexpr int64_t overflow_count() const {
    return overflow_count_;
  }  // additions that did not fit

 private:
  int bits_;
  OverflowPolicy policy_;
  int saturated_bits_;
  int64_t value_;
  int64_t overflow_count_ = 0;
};

}  // namespace widthwise
