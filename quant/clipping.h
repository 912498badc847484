#pragma once
#include <cstdint>
#include <span>

#include "quant/linear_quantization.h"
#include "quant/statistics.h"

namespace widthwise {

// How Distiller chooses the range of an activation, in its arithmetic. Clippings beyond laplace are
// none of its (see quant/quantize.h).
struct ClippingChoice {
  Clipping clipping = Clipping::kNone;
  double n_stds = 0;          // of kNStd, > 0
  bool half_range = false;    // a ReLU follows: kGauss and kLaplace of asymmetric modes
  double percentile = 99.99;  // of kPercentile, % of the values inside
  // Of weights, per channel: gauss and laplace of asymmetric modes begin at the mean of the
  // samples' minima, not at the least. (There is one range all the same.)
  bool per_channel = false;
};

// The factor of the standard deviation (kGauss) or of the mean deviation (kLaplace) at which a
// clipped distribution of this shape has the least expected squared error; half_range: of one side
// only. bits 1..8, throws std::invalid_argument for others.
// Source: Banner et al., "Post-training 4-bit quantization of convolution networks", 2018.
double aciq_factor(Clipping clipping, bool half_range, int bits);

// From a record of statistics. Throws std::invalid_argument, naming what the record lacks.
//   none: min, max. avg: avg_min, avg_max. n_std: mean -+ n * std within min and max.
//   gauss, laplace: a = factor * std or b. symmetric: |mean| + a; else from max(avg_min, mean - a)
//   up to 2 a (half range: a) above it
RealRange clipped_range(const TensorStatistics& statistics, const ClippingChoice& choice, int bits,
                        QuantizationMode mode);

// From a tensor [samples, ...] itself: the same with its own min, max, mean, std (of the sample,
// n - 1; of one value 0); in place of avg_min, gauss and laplace take min.
RealRange clipped_range(std::span<const float> values, int64_t samples,
                        const ClippingChoice& choice, int bits, QuantizationMode mode);

}  // namespace widthwise
