#pragma once
#include <span>

#include "quant/quantize.h"

namespace widthwise {

// Scale and zero point of weights that share them: a tensor, or an output channel.
//   kMinMax      the whole range
//   kPercentile  without (100 - p) % of the weights: the greatest |w|, or half of them at either
//                end for asymmetric ones
//   kMse         the part of the range, 25 to 100 % in steps of 1 %, whose codes have the least
//                squared error
TensorQuantization weight_quantization(std::span<const float> weights, const WeightRange& choice,
                                       IntegerFormat format, Symmetry symmetry,
                                       bool power_of_two_scale);

// The codes that a weight may have: kSymmetric leaves the least one of signed formats out.
int32_t least_weight_code(IntegerFormat format, Symmetry symmetry);

}  // namespace widthwise
