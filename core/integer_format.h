#pragma once
#include <cstdint>
#include <limits>
#include <string>

namespace widthwise {

// An integer of a stated width, as it travels on a wire. 1..16 bits for operands; up to 64
// elsewhere, where max() of unsigned ones is int64's.
struct IntegerFormat {
  int bits = 8;
  bool is_signed = true;

  constexpr int64_t min() const { return is_signed ? -max() - 1 : 0; }
  constexpr int64_t max() const {
    const int magnitude_bits = is_signed ? bits - 1 : bits;
    return magnitude_bits < 63 ? (int64_t{1} << magnitude_bits) - 1
                               : std::numeric_limits<int64_t>::max();
  }
  constexpr bool holds(int64_t value) const { return value >= min() && value <= max(); }
  constexpr bool holds(const IntegerFormat& other) const {
    return holds(other.min()) && holds(other.max());
  }
  std::string name() const { return (is_signed ? "int" : "uint") + std::to_string(bits); }
  bool operator==(const IntegerFormat&) const = default;
};

// Width of the narrowest two's-complement integer that holds `value`: 0 and -1 need 1 bit.
constexpr int signed_bits(int64_t value) {
  const auto magnitude = static_cast<uint64_t>(value < 0 ? ~value : value);
  int bits = 1;
  while (bits < 64 && (magnitude >> (bits - 1)) != 0) ++bits;
  return bits;
}

// The narrowest format that holds both.
constexpr IntegerFormat joined_format(IntegerFormat a, const IntegerFormat& b) {
  a.is_signed = a.is_signed || b.is_signed;
  while (!a.holds(b)) ++a.bits;
  return a;
}

}  // namespace widthwise
