#pragma once
#include <cstdint>

#include "core/progress.h"
#include "models/network.h"
#include "quant/calibrate.h"
#include "quant/quantize.h"

namespace widthwise {

// Images that weights are rounded and biases corrected on, of `images`: up to 1024, and as many as
// 256 MiB hold the values of at the network's greatest tensor, but 32 if there are so many.
int64_t refined_images(const FloatNetwork& network, int64_t images);

// Quantizes a network with the images that it is calibrated on, without training:
//   1. equalization (quant/equalize.h)
//   2. statistics of the first `images` images, with histograms if the ranges need them
//   3. quantize(): formats, ranges, codes, rescaling layers
//   4. layer by layer in the network's order, each with the ifmaps that the layers before it give
//      as they are now: weights rounded by what the output errs (quant/weight_rounding.h), then the
//      bias corrected by what the output's mean errs (Nagel et al., "Data-free quantization through
//      weight equalization and bias correction", 2019, section 4.2, by the calibration images)
//      The first refined_images() images serve, whose values at one tensor are kept in memory.
// The result does not depend on the number of threads. Throws InputError of quantize(), where
// there is nothing to equalize, and for sums of more than 8192 products whose weights are to be
// rounded by the output's error.
QuantizedNetwork quantize_calibrated(const FloatNetwork& network, const ImageSource& source,
                                     int64_t images, const QuantizationConfig& config,
                                     Progress& progress);

// The preset for few bits: mean-squared-error ranges, weights rounded by the output's error, biases
// corrected, 8 bits for sums and for the first and the last matmul.
QuantizationConfig calibrated_config(IntegerFormat ifmap, IntegerFormat weight);
// Of it, what changes neither formats nor the ranges of activations.
void add_calibrated_methods(QuantizationConfig& config);

}  // namespace widthwise
