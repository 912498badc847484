#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace widthwise {

// Distiller's range-linear quantization, in its arithmetic and its convention: the scale
// multiplies, the zero point is subtracted,
//   q = clamp(rne(s * x - z), q_min, q_max)        x' = (q + z) / s
// (ONNX: scale 1 / s, zero point -z.) Everything is float32, one rounding per operation (no fused
// multiply-add), also "integers"; rne rounds half to even. Bits are 1..31.
enum class QuantizationMode {
  kSymmetric,            // sym: n = (2^b - 1) / 2, codes [-2^(b-1), 2^(b-1) - 1]
  kSymmetricRestricted,  // sym_restr: n = 2^(b-1) - 1, codes [-n, n]
  kAsymmetricUnsigned,   // asym_u: n = 2^b - 1, codes [0, n]
  kAsymmetricSigned,     // asym_s: n = 2^b - 1, codes [-2^(b-1), 2^(b-1) - 1]
};

// How the range of an activation is chosen.
enum class Clipping {
  kNone,        // min, max
  kAverage,     // avg: means over samples of their min and max
  kNStd,        // n_std: mean -+ n standard deviations, within min and max
  kGauss,       // ACIQ (Banner et al. 2018) of a normal distribution
  kLaplace,     // ACIQ of a Laplace distribution
  kPercentile,  // the given percentage of values, by histogram
  kKl,          // least Kullback-Leibler divergence (Migacz 2017), by histogram
  kMse,         // least mean squared error, by histogram
};
constexpr bool is_clipping(Clipping clipping) { return clipping != Clipping::kNone; }
constexpr bool is_aciq(Clipping clipping) {
  return clipping == Clipping::kGauss || clipping == Clipping::kLaplace;
}

// Whose arithmetic counts where the released versions differ from each other and from what is
// right.
enum class Compat {
  kNone,         // each trap mended
  kDistiller03,  // release v0.3.2 (2019)
  kDistiller04,  // 0.4.0-pre (2023)
};

const char* mode_name(QuantizationMode mode);  // as on the command line: "sym_restr"
const char* clipping_name(Clipping clipping);  // "n_std"
bool is_symmetric(QuantizationMode mode);

struct CodeRange {
  float q_min = -128, q_max = 127;
  bool operator==(const CodeRange&) const = default;
};
CodeRange code_range(int bits, QuantizationMode mode, Compat compat);

struct LinearScale {
  float scale = 1, zero_point = 0;
  bool operator==(const LinearScale&) const = default;
};

// A range of real numbers. Symmetric modes use max(|low|, |high|).
struct RealRange {
  float low = 0, high = 0;
};

// Scale and zero point of a range, which is widened to hold 0:
//   symmetric:  s = n / max(|low|, |high|), z = 0
//   asymmetric: s = n / (high - low), z = rne(s * low), and 2^(b-1) more for kAsymmetricSigned
// n / range is the reciprocal, rounded, times n, rounded. A range of 0, or so narrow that float32
// has no such scale, gives s = 1. kDistiller03 has n = 2^(b-1) - 1 for kSymmetric, with the codes
// of the full range. Throws std::invalid_argument for low > high and for what is not finite.
LinearScale scale_of_range(const RealRange& range, int bits, QuantizationMode mode, Compat compat);

// rne(s * x - z), clamped.
float linear_quantize(float x, const LinearScale& scale, const CodeRange& codes);
// (q + z) / s.
float linear_dequantize(float q, const LinearScale& scale);

// multiplier / 2^shift <= scale < (multiplier + 1) / 2^shift, with the greatest shift at which the
// multiplier has `bits` bits: the fixed-point multiplier that takes the place of a scale.
//   shift = floor(log2((2^bits - 1) / scale)), multiplier = floor(scale * 2^shift)
struct ScaleApproximation {
  float multiplier = 1;
  int shift = 0;  // may be negative
  float value = 1;
};
ScaleApproximation approximate_scale(float scale, int bits);  // scale > 0, bits 1..23

// The quantization of one activation, or of weights with one scale or one per output channel.
struct LinearQuantization {
  int bits = 8;
  CodeRange codes;
  std::vector<LinearScale> scales;  // one, or one per output channel

  const LinearScale& at(size_t channel) const {
    return scales.size() == 1 ? scales[0] : scales[channel];
  }
  bool operator==(const LinearQuantization&) const = default;
};

}  // namespace widthwise
