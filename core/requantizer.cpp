#include "core/requantizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace widthwise {
namespace {

constexpr int kGemmlowpBits = 31;
constexpr int kLeastGemmlowpExponent = -31;  // of the ratio; a smaller one is 0
constexpr int kTfliteAddShift = 20,
              kTfliteWideAddShift = 15;  // TFLite's add, 8-bit and wider operands

// round_half_even of a float32 that may be far outside the codes; NaN (0 * infinity) is the least.
int64_t rint_limited(float value) {
  constexpr float kLimit = 1e9F;
  if (std::isnan(value)) value = -kLimit;
  return static_cast<int64_t>(std::nearbyint(std::clamp(value, -kLimit, kLimit)));
}

template <class Integer>
int32_t limited_to_int32(Integer value) {
  constexpr Integer kLimit = std::numeric_limits<int32_t>::max();
  return static_cast<int32_t>(std::clamp(value, -kLimit - 1, kLimit));
}

int32_t shift_left_limited(int32_t value, int shift) {
  return limited_to_int32(static_cast<int64_t>(value) * (int64_t{1} << shift));
}

int64_t narrow(__int128 value) {
  constexpr __int128 kLimit = __int128{1} << 62;
  return static_cast<int64_t>(std::clamp(value, -kLimit, kLimit));
}

int64_t apply(int64_t value, const FixedMultiplier& fixed, Rounding rounding) {
  const __int128 product = static_cast<__int128>(value) * fixed.multiplier;
  if (fixed.shift >= 0) return narrow(shift_rounded(product, std::min(fixed.shift, 126), rounding));
  constexpr int kEnough = 32;  // codes have at most 17 bits, so a larger shift changes nothing
  return narrow(product * (__int128{1} << std::min(-fixed.shift, kEnough)));
}

bool is_power_of_two(double ratio) {
  int exponent = 0;
  return ratio > 0 && std::frexp(ratio, &exponent) == 0.5;
}

}  // namespace

__int128 shift_rounded(__int128 value, int shift, Rounding rounding) {
  if (shift == 0) return value;
  const __int128 floor = value >> shift;
  const __int128 rest = value - floor * (__int128{1} << shift);  // 0 <= rest < 2^shift
  const __int128 half = __int128{1} << (shift - 1);
  switch (rounding) {
    case Rounding::kHalfUp:
      return floor + (rest >= half);
    case Rounding::kHalfDown:
      return floor + (rest > half);
    case Rounding::kHalfEven:
      return floor + (rest > half || (rest == half && (floor & 1) != 0));
    case Rounding::kHalfAway:
      return floor + (rest > half || (rest == half && value > 0));
    case Rounding::kHalfTowardZero:
      return floor + (rest > half || (rest == half && value < 0));
    case Rounding::kTruncate:
      return floor + (rest != 0 && value < 0);
    case Rounding::kFloor:
      return floor;
  }
  throw std::logic_error("rounding");
}

const char* requantize_kind_name(RequantizeConfig::Kind kind) {
  switch (kind) {
    case RequantizeConfig::Kind::kFloat32:
      return "float32";
    case RequantizeConfig::Kind::kMultiplierShift:
      return "multiplier_shift";
    case RequantizeConfig::Kind::kGemmlowp:
      return "gemmlowp";
    case RequantizeConfig::Kind::kPowerOfTwo:
      return "power_of_two";
  }
  throw std::logic_error("requantize kind");
}

const char* rounding_name(Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfUp:
      return "half_up";
    case Rounding::kHalfDown:
      return "half_down";
    case Rounding::kHalfEven:
      return "half_even";
    case Rounding::kHalfAway:
      return "half_away";
    case Rounding::kHalfTowardZero:
      return "half_toward_zero";
    case Rounding::kTruncate:
      return "truncate";
    case Rounding::kFloor:
      return "floor";
  }
  throw std::logic_error("rounding");
}

FixedMultiplier fixed_multiplier(double ratio, int bits) {
  if (!(ratio > 0) || !std::isfinite(ratio)) return {};
  int exponent = 0;
  const double fraction = std::frexp(ratio, &exponent);  // [0.5, 1)
  int64_t multiplier = std::llround(std::ldexp(fraction, bits));
  if (multiplier == int64_t{1} << bits) {
    multiplier /= 2;
    ++exponent;
  }
  return {multiplier, bits - exponent};
}

int32_t gemmlowp_multiply(int32_t value, double ratio, GemmlowpRounding rounding) {
  const FixedMultiplier fixed = fixed_multiplier(ratio, kGemmlowpBits);
  const int exponent = kGemmlowpBits - fixed.shift;
  if (exponent < kLeastGemmlowpExponent) return 0;
  if (rounding == GemmlowpRounding::kSingle)
    return limited_to_int32(apply(value, fixed, Rounding::kHalfUp));
  const int left = std::max(exponent, 0), right = std::max(-exponent, 0);
  const int32_t shifted =
      limited_to_int32(static_cast<__int128>(value) * (__int128{1} << std::min(left, 62)));
  const int64_t product = shifted * fixed.multiplier;
  const int64_t nudged = product + (product >= 0 ? (1 << 30) : 1 - (1 << 30));
  const int64_t high = nudged / (int64_t{1} << 31);  // toward zero
  return static_cast<int32_t>(shift_rounded(high, right, Rounding::kHalfAway));
}

int32_t gemmlowp_multiply_wide(int64_t value, double ratio) {
  constexpr int64_t kMost = 0x7FFF;  // 15 bits
  const FixedMultiplier fixed = fixed_multiplier(ratio, kGemmlowpBits);
  if (kGemmlowpBits - fixed.shift < kLeastGemmlowpExponent) return 0;
  const int64_t reduced = std::min((fixed.multiplier + (1 << 15)) >> 16, kMost);
  return limited_to_int32(apply(value, {reduced, fixed.shift - 16}, Rounding::kHalfUp));
}

Requantizer::Requantizer(const RequantizeConfig& config, float ifmap_scale, float weight_scale,
                         float ofmap_scale, int32_t zero_point, int32_t q_min, int32_t q_max,
                         bool ofmap_is_signed)
    : config_(config),
      ratio_((config.kind == RequantizeConfig::Kind::kGemmlowp && !ofmap_is_signed
                  ? static_cast<double>(ifmap_scale * weight_scale)
                  : static_cast<double>(ifmap_scale) * weight_scale) /
             ofmap_scale),
      float_multiplier_(ifmap_scale * weight_scale / ofmap_scale),
      zero_point_(zero_point),
      q_min_(q_min),
      q_max_(q_max) {
  const bool shift_only = config.kind == RequantizeConfig::Kind::kPowerOfTwo;
  if (shift_only && !is_power_of_two(ratio_))
    throw std::invalid_argument("ratio of scales is not a power of two");
  fixed_ = fixed_multiplier(ratio_, shift_only ? 1 : config.multiplier_bits);
}

Requantizer::Requantizer(const RequantizeConfig& config, const Mean& mean, float ofmap_scale,
                         int32_t zero_point, int32_t q_min, int32_t q_max, bool ofmap_is_signed)
    : Requantizer(config, mean.ifmap_scale, 1 / static_cast<float>(mean.taps), ofmap_scale,
                  zero_point, q_min, q_max, ofmap_is_signed) {
  float_multiplier_ = mean.ifmap_scale / (ofmap_scale * static_cast<float>(mean.taps));
  if (config.kind == RequantizeConfig::Kind::kGemmlowp && mean.ifmap_scale == ofmap_scale &&
      mean.ifmap_zero_point == zero_point)
    mean_taps_ = mean.taps;
}

int32_t Requantizer::operator()(int64_t accumulator) const {
  int64_t rounded = 0;
  switch (config_.kind) {
    case RequantizeConfig::Kind::kFloat32:
      rounded = rint_limited(static_cast<float>(accumulator) * float_multiplier_);
      break;
    case RequantizeConfig::Kind::kMultiplierShift:
    case RequantizeConfig::Kind::kPowerOfTwo:
      rounded = apply(accumulator, fixed_, config_.rounding);
      break;
    case RequantizeConfig::Kind::kGemmlowp:
      if (mean_taps_ > 0) {
        const int64_t sum = accumulator + mean_taps_ * zero_point_;
        rounded =
            (sum > 0 ? sum + mean_taps_ / 2 : sum - mean_taps_ / 2) / mean_taps_ - zero_point_;
        break;
      }
      rounded = gemmlowp_multiply(limited_to_int32(accumulator), ratio_, config_.gemmlowp_rounding);
      break;
  }
  return static_cast<int32_t>(std::clamp<int64_t>(rounded + zero_point_, q_min_, q_max_));
}

ElementwiseRequantizer::ElementwiseRequantizer(const RequantizeConfig& config,
                                               std::vector<Operand> operands, float ofmap_scale,
                                               int32_t zero_point, int32_t q_min, int32_t q_max)
    : config_(config),
      operands_(std::move(operands)),
      ofmap_scale_(ofmap_scale),
      zero_point_(zero_point),
      q_min_(q_min),
      q_max_(q_max) {
  double largest = 0, largest_scale = 0;
  for (const Operand& operand : operands_) {
    largest = std::max(largest, static_cast<double>(operand.scale) / ofmap_scale);
    largest_scale = std::max<double>(largest_scale, operand.scale);
  }
  if (config.kind == RequantizeConfig::Kind::kGemmlowp) {
    left_shift_ = kTfliteAddShift;
    for (const Operand& operand : operands_) {
      if (operand.bits > 8) left_shift_ = kTfliteWideAddShift;
      ratios_.push_back(operands_.size() == 1 ? static_cast<double>(operand.scale) / ofmap_scale
                                              : operand.scale / (2 * largest_scale));
    }
    ratios_.push_back(2 * largest_scale / (std::ldexp(1.0, left_shift_) * ofmap_scale));
    return;
  }
  if (config.kind == RequantizeConfig::Kind::kFloat32) return;
  const bool shift_only = config.kind == RequantizeConfig::Kind::kPowerOfTwo;
  for (const Operand& operand : operands_) {
    const double ratio = static_cast<double>(operand.scale) / ofmap_scale;
    if (shift_only && !is_power_of_two(ratio))
      throw std::invalid_argument("ratio of scales is not a power of two");
    if (shift_only) shift_ = std::max(shift_, fixed_multiplier(ratio, 1).shift);
  }
  // Power of two: the finest operand's step is the common one, so nothing is lost before the
  // rounding.
  if (!shift_only) shift_ = std::max(0, fixed_multiplier(largest, config.multiplier_bits).shift);
  for (const Operand& operand : operands_) {
    multipliers_.push_back(
        std::llround(std::ldexp(static_cast<double>(operand.scale) / ofmap_scale, shift_)));
  }
}

int32_t ElementwiseRequantizer::finish(int64_t rounded) const {
  return static_cast<int32_t>(std::clamp<int64_t>(rounded + zero_point_, q_min_, q_max_));
}

int32_t ElementwiseRequantizer::operator()(int32_t code) const {
  const int32_t value = code - operands_[0].zero_point;
  switch (config_.kind) {
    case RequantizeConfig::Kind::kFloat32:
      return finish(rint_limited(static_cast<float>(value) * operands_[0].scale / ofmap_scale_));
    case RequantizeConfig::Kind::kGemmlowp:
      return finish(gemmlowp_multiply(value, ratios_[0], config_.gemmlowp_rounding));
    default:
      return finish(apply(value, {multipliers_[0], shift_}, config_.rounding));
  }
}

int32_t ElementwiseRequantizer::operator()(int32_t first, int32_t second) const {
  const int32_t a = first - operands_[0].zero_point, b = second - operands_[1].zero_point;
  switch (config_.kind) {
    case RequantizeConfig::Kind::kFloat32: {
      const float ra = operands_[0].scale / ofmap_scale_, rb = operands_[1].scale / ofmap_scale_;
      const float constant = static_cast<float>(zero_point_) -
                             std::fma(ra, static_cast<float>(operands_[0].zero_point),
                                      rb * static_cast<float>(operands_[1].zero_point));
      const float sum = std::fma(static_cast<float>(first), ra,
                                 std::fma(static_cast<float>(second), rb, constant));
      return static_cast<int32_t>(std::clamp<int64_t>(rint_limited(sum), q_min_, q_max_));
    }
    case RequantizeConfig::Kind::kGemmlowp: {
      const auto multiply = [&](int32_t operand, double ratio) {
        return gemmlowp_multiply(operand, ratio, config_.gemmlowp_rounding);
      };
      const int32_t sum = multiply(shift_left_limited(a, left_shift_), ratios_[0]) +
                          multiply(shift_left_limited(b, left_shift_), ratios_[1]);
      return finish(multiply(sum, ratios_[2]));
    }
    default: {
      const __int128 sum =
          static_cast<__int128>(a) * multipliers_[0] + static_cast<__int128>(b) * multipliers_[1];
      return finish(narrow(shift_rounded(sum, std::min(shift_, 126), config_.rounding)));
    }
  }
}

}  // namespace widthwise
