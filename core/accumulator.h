#pragma once
#include <cstdint>

namespace widthwise {

// What an adder of `bits` bits does with a sum that does not fit.
enum class OverflowPolicy { kWrap, kSaturate };

constexpr const char* overflow_policy_name(OverflowPolicy policy) {
  return policy == OverflowPolicy::kWrap ? "wrap" : "saturate";
}

inline constexpr int kMinAccumulatorBits = 2;
inline constexpr int kMaxAccumulatorBits = 48;

// Fits an exact value into `bits` bits, two's complement: kWrap keeps the low bits, kSaturate takes
// the nearest end. 2 <= bits <= 62.
constexpr int64_t fit(int64_t value, int bits, OverflowPolicy policy) {
  const int64_t low = -(int64_t{1} << (bits - 1));
  const int64_t high = -low - 1;
  if (value >= low && value <= high) return value;
  if (policy == OverflowPolicy::kSaturate) return value < low ? low : high;
  const auto modulus = uint64_t{1} << bits;
  const uint64_t kept = static_cast<uint64_t>(value) & (modulus - 1);
  return static_cast<int64_t>(kept) - (kept >> (bits - 1) != 0 ? static_cast<int64_t>(modulus) : 0);
}

// A signed two's-complement accumulator, bit-exact to the adder of the generated PE. The start
// value is fitted and not counted. kWrap sums do not depend on the order of addition; kSaturate
// sums do, so add in hardware order.
class Accumulator {
 public:
  constexpr Accumulator(int bits, OverflowPolicy policy, int64_t start = 0)  // 2 <= bits <= 62
      : bits_(bits), policy_(policy), value_(fit(start, bits, policy)) {}

  constexpr void add(int64_t addend) {  // |addend| < 2^62
    const int64_t exact = value_ + addend;
    value_ = fit(exact, bits_, policy_);
    overflow_count_ += value_ != exact;
  }
  constexpr int64_t value() const { return value_; }
  constexpr int64_t overflow_count() const {
    return overflow_count_;
  }  // additions that did not fit

 private:
  int bits_;
  OverflowPolicy policy_;
  int64_t value_;
  int64_t overflow_count_ = 0;
};

}  // namespace widthwise
