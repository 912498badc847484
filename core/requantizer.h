#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/integer_format.h"

namespace widthwise {

// How a number between two integers is rounded; named after what happens to ties, except for the
// last two: kTruncate goes toward zero, kFloor toward minus infinity. ap_fixed's and SystemC's
// names for these: docs/datapath.md.
enum class Rounding {
  kHalfUp,
  kHalfDown,
  kHalfEven,
  kHalfAway,
  kHalfTowardZero,
  kTruncate,
  kFloor,
};
inline constexpr std::array kRoundings = {
    Rounding::kHalfUp,         Rounding::kHalfDown, Rounding::kHalfEven, Rounding::kHalfAway,
    Rounding::kHalfTowardZero, Rounding::kTruncate, Rounding::kFloor};

// round(value / 2^shift). 0 <= shift <= 126.
__int128 shift_rounded(__int128 value, int shift, Rounding rounding);

// TFLite's two builds of its requantization: rounded by the high multiply and again by the shift
// (its default), or once, half up (TFLITE_SINGLE_ROUNDING).
enum class GemmlowpRounding { kDouble, kSingle };

// Which arithmetic takes an accumulator to a code. Formulas: docs/datapath.md.
struct RequantizeConfig {
  enum class Kind {
    kFloat32,          // ONNX Runtime's: rint(f32(f32(acc) * f32(f32(xs*ws)/ys))) + zero point
    kMultiplierShift,  // m-bit multiplier, shift, one rounding
    kGemmlowp,         // 31-bit multiplier, rounded as TFLite does
    kPowerOfTwo,       // a shift; the ratio of the scales must be a power of two
  };
  Kind kind = Kind::kMultiplierShift;
  int multiplier_bits = 16;                                        // kMultiplierShift: 2..31
  Rounding rounding = Rounding::kHalfUp;                           // kMultiplierShift, kPowerOfTwo
  GemmlowpRounding gemmlowp_rounding = GemmlowpRounding::kDouble;  // kGemmlowp
  bool operator==(const RequantizeConfig&) const = default;
};

const char* requantize_kind_name(RequantizeConfig::Kind kind);
const char* rounding_name(Rounding rounding);

// ratio ~= multiplier / 2^shift; multiplier has exactly `bits` bits (bits 1..31), or is 0.
struct FixedMultiplier {
  int64_t multiplier = 0;
  int shift = 0;  // may be negative: a left shift
};
FixedMultiplier fixed_multiplier(double ratio, int bits);

// TFLite's MultiplyByQuantizedMultiplier. A single rounding's result beyond int32, which TFLite
// forbids, is limited to it.
int32_t gemmlowp_multiply(int32_t value, double ratio,
                          GemmlowpRounding rounding = GemmlowpRounding::kDouble);

// The same for 64-bit accumulators, TFLite's of 16-bit ifmaps: a multiplier of 15 bits, one
// rounding, half up. |value| < 2^47; limited to int32 likewise.
int32_t gemmlowp_multiply_wide(int64_t value, double ratio);

// Maps an accumulator at scale ifmap_scale * weight_scale to a code of the ofmap:
//   q = clamp(zero_point + round(acc * ifmap_scale * weight_scale / ofmap_scale), q_min, q_max)
// with the rounding and multiplier of `config`. ReLU and ReLU6 are the clamp.
// kGemmlowp takes the product of the two scales in float32 for an unsigned ofmap and in double for
// a signed one, as TFLite does for its uint8 and int8 networks; it shows in the multiplier's last
// bits. Throws std::invalid_argument when kPowerOfTwo is asked for a ratio that is none.
//
// With a Mean, the accumulator is a sum of codes, each less its zero point, and the code is that of
// their mean, requantized with the weight scale f32(1 / taps), but for:
// - kFloat32 multiplies by f32(ifmap_scale / f32(ofmap_scale * taps)), as ONNX Runtime's
//   QLinearGlobalAveragePool does;
// - kGemmlowp takes the mean of the codes, ties away from 0, where ofmap and ifmap have one scale
//   and one zero point, as TFLite's AveragePool and Mean do.
class Requantizer {
 public:
  struct Mean {
    float ifmap_scale;
    int32_t ifmap_zero_point;
    int64_t taps;
  };
  Requantizer(const RequantizeConfig& config, const Mean& mean, float ofmap_scale,
              int32_t zero_point, int32_t q_min, int32_t q_max, bool ofmap_is_signed = true);
  Requantizer(const RequantizeConfig& config, float ifmap_scale, float weight_scale,
              float ofmap_scale, int32_t zero_point, int32_t q_min, int32_t q_max,
              bool ofmap_is_signed = true);
  int32_t operator()(int64_t accumulator) const;  // |accumulator| < 2^48

  const FixedMultiplier& fixed() const { return fixed_; }
  float float_multiplier() const { return float_multiplier_; }

 private:
  RequantizeConfig config_;
  double ratio_;
  float float_multiplier_;
  FixedMultiplier fixed_;
  int32_t zero_point_, q_min_, q_max_;
  int64_t mean_taps_ = 0;  // > 0: the mean of codes
};

// Maps one or two operand codes (element-wise addition, concatenation, clamp) to the ofmap's code:
//   q = clamp(zero_point + round(sum_i (code_i - zero_point_i) * scale_i / ofmap_scale), q_min,
//   q_max)
// kFloat32: one operand by DequantizeLinear and QuantizeLinear, two by ONNX Runtime's QLinearAdd,
// which adds the zero point before it rounds. kMultiplierShift and kPowerOfTwo: one multiplier per
// operand, a common shift, one rounding. kGemmlowp: TFLite's integer addition (operands shifted
// left by 20, or by 15 when one has more than 8 bits; each rescaled, summed, rescaled).
class ElementwiseRequantizer {
 public:
  struct Operand {
    float scale = 1;
    int32_t zero_point = 0;
    int bits = 8;
  };
  ElementwiseRequantizer(const RequantizeConfig& config, std::vector<Operand> operands,
                         float ofmap_scale, int32_t zero_point, int32_t q_min, int32_t q_max);
  int32_t operator()(int32_t code) const;                   // one operand
  int32_t operator()(int32_t first, int32_t second) const;  // two operands

  // kMultiplierShift and kPowerOfTwo: sum_i (code_i - zero_point_i) * multipliers()[i] / 2^shift().
  const std::vector<int64_t>& multipliers() const { return multipliers_; }
  int shift() const { return shift_; }

 private:
  int32_t finish(int64_t rounded) const;

  RequantizeConfig config_;
  std::vector<Operand> operands_;
  float ofmap_scale_;
  int32_t zero_point_, q_min_, q_max_;
  std::vector<int64_t> multipliers_;  // kMultiplierShift, kPowerOfTwo
  int shift_ = 0;
  std::vector<double> ratios_;  // kGemmlowp: per operand, then the sum's
  int left_shift_ = 0;          // kGemmlowp
};

}  // namespace widthwise
