#pragma once
#include <optional>
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

// Weights so small that a bias beside them would leave 32 bits: the step at which the greatest of
// these biases has 2^30, where it would have more than 2^31 at `step`. Nothing: they have room; or
// they are of several channels, and the greatest lies beyond `reach`, the greatest magnitude that
// the ofmap shows, so that the others' weights would be lost for nothing.
std::optional<float> step_with_room(std::span<const float> biases, float ifmap_step, float step,
                                    float reach);

// The codes that a weight may have: kSymmetric leaves the least one of signed formats out.
int32_t least_weight_code(IntegerFormat format, Symmetry symmetry);

}  // namespace widthwise
