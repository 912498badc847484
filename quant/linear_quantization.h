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

// Whose arithmetic counts where the released versions differ from each other and from what is
// right.
enum class Compat {
  kNone,         // each trap mended
  kDistiller03,  // release v0.3.2 (2019)
  kDistiller04,  // 0.4.0-pre (2023)
};

}  // namespace widthwise
