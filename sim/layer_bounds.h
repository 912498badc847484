#pragma once
#include "core/accumulation.h"
#include "hwmodel/overflow_bounds.h"
#include "quant/quantized_network.h"

namespace widthwise {

// Limits of a layer's outermost chain over all its channels: what its weights allow for any data,
// and what its formats alone allow (with the layer's own biases).
SumBounds layer_weight_bounds(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                              BiasMode mode);
SumBounds layer_data_type_bounds(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                                 BiasMode mode);

// No data can make any addition of this layer overflow, so its sums are exact under its policies:
// proven by its weights.
bool proven_safe(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                 const Accumulation& accumulation);

}  // namespace widthwise
