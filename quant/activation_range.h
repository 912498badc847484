#pragma once
#include "quant/linear_quantization.h"
#include "quant/quantize.h"
#include "quant/statistics.h"

namespace widthwise {

// The factor t of a clipped distribution with the least expected squared error of clipping and of
// rounding to 2^bits codes: the range reaches t * b (kLaplace) or t * sigma (kGauss) from the mean.
//   Laplace: d/dt of 2 e^-t + t^2 / (3 * 4^bits) = 0, that is t e^t = 3 * 4^bits
//   Gauss:   d/dt of (1 + t^2) erfc(t / sqrt 2) - t sqrt(2 / pi) e^(-t^2 / 2) + t^2 / (3 * 4^bits)
// half: of positive values only, whose steps are half as wide: 12 in place of 3. bits 1..16.
// Source: Banner et al., "Post-training 4-bit quantization of convolution networks", 2018 (ACIQ).
double optimal_clipping(Clipping clipping, int bits, bool half);

// The range of an activation by its statistics, within [min, max] and with 0 inside. A tensor with
// min >= 0 is one behind a ReLU: its range is [0, high].
//   kNone, kAverage  min, max; their means over the images
//   kNStd            mean -+ n std; behind a ReLU mean + n std
//   kGauss, kLaplace mean -+ t sigma, mean -+ t b. Behind a ReLU [0, t sigma] or [0, t b], where a
//                    half distribution's scale follows from its own first two moments, however many
//                    zeros there are: b = E[x^2] / 2 E[x], sigma = sqrt(2 / pi) E[x^2] / E[x]
//   kPercentile      what leaves (100 - p) % of the values outside, half of it on either side
//   kKl              threshold of |x| at which the clipped histogram and the one of the codes have
//                    the least Kullback-Leibler divergence
//                    (Migacz, "8-bit inference with TensorRT", GTC 2017)
//   kMse             ends whose codes have the least squared error over the histogram
// Throws std::invalid_argument that says what the statistics lack.
RealRange activation_range(const TensorStatistics& statistics, const ActivationRange& choice,
                           IntegerFormat format, Symmetry symmetry, bool power_of_two_scale);

// Sum over the histogram of (x - real(code(x)))^2, x being the bins' middles. The first bin of
// values from 0 on is at 0: most of a ReLU's are.
double squared_error(const Histogram& histogram, const TensorQuantization& quantization);

// How many of the first bins of a histogram of |x| Migacz's method keeps for `codes` codes: as many
// as there are codes, a 16th of all, and those of 9 in 10 values, at least.
int64_t kl_bins(std::span<const int64_t> counts, int64_t codes);

}  // namespace widthwise
