#pragma once
#include <nlohmann/json.hpp>

#include "hwmodel/accelerator.h"
#include "quant/quantized_network.h"
#include "sim/evaluate.h"

namespace widthwise {

using Json = nlohmann::ordered_json;

// One entry per layer that runs on the array: shapes, K, MACs, operand bits, and the accumulator
// widths that it needs:
//   textbook_bits            ifmap bits + weight bits (0 for unit weights) + ceil(log2 K)
//   data_type_bound_bits     K products of extreme codes, and the layer's biases
//   weight_bound_bits        the layer's own weights, any data
//   observed_bits            the narrowest without an overflow in the census
//   outputs                  samples behind every rate
//   hit_percent_wrap, hit_percent_saturate {"<bits>": percent}   outputs with an overflow
//   misfit_percent {"<bits>": percent}   outputs whose final sum does not fit: wrong under wrap
// at every width from min_bits to data_type_bound_bits. census: an evaluation with
// RunOptions::census.
Json layer_report(const QuantizedNetwork& network, const Datapath& datapath,
                  const Evaluation& census, int min_bits);

// The widest observed_bits of the layers: nothing overflows from this width on.
int widest_observed_bits(const Json& layers);

// The integer under a key, "" where there is none.
std::string integer_text(const Json& layer, const char* key);

// "16x28x28"
std::string extents_text(const std::vector<int64_t>& shape);

}  // namespace widthwise
