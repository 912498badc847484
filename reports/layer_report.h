#pragma once
#include <nlohmann/json.hpp>

#include "hwmodel/accelerator.h"
#include "quant/quantized_network.h"
#include "sim/evaluate.h"
#include "sim/graph_layers.h"

namespace widthwise {

using Json = nlohmann::ordered_json;

// One entry per layer that runs on the array: shapes, K, MACs, operand bits, and the accumulator
// widths that it needs:
//   textbook_bits            ifmap bits + weight bits (0 for unit weights) + ceil(log2 K)
//   data_type_bound_bits     K products of extreme codes, and the layer's biases
//   weight_bound_bits        the layer's own weights, any data; of computed weights the one before
//   observed_bits            the narrowest without an overflow in the census
//   outputs                  samples behind every rate
//   zero_upper_bound_percent what a rate that was seen as 0 is below
//   hit_percent_wrap, hit_percent_saturate {"<bits>": percent}   outputs with an overflow
//   misfit_percent {"<bits>": percent}   outputs whose final sum does not fit: wrong under wrap
// at every width from min_bits to data_type_bound_bits. With a chain inside the outermost one these
// hold where the inner one does not overflow, and there are
//   observed_inner_bits, observed_inner_least, observed_inner_greatest
//   inner_hit_percent {"<inner bits>": percent}   outputs with an overflow in the inner chain
//   pair_hit_percent_wrap, pair_hit_percent_saturate {"<inner bits>": {"<bits>": percent}}
// at every inner width from min_bits to observed_inner_bits. per_channel adds
//   channels [{observed_least, observed_greatest, outputs, hit_percent_*, misfit_percent}]
// census: an evaluation with RunOptions::census.
Json layer_report(const QuantizedNetwork& network, const Datapath& datapath,
                  const Evaluation& census, int min_bits);
Json layer_report(const std::vector<GraphLayer>& layers, const Datapath& datapath,
                  const Evaluation& census, int min_bits, bool per_channel);

// The one-sided upper bound, at 95 % confidence, of a rate that was 0 over so many independent
// samples, in percent: Clopper and Pearson, Biometrika 26 (1934), by Boost.Math. 100 without any.
double zero_upper_bound_percent(int64_t samples);

// The widest observed_bits of the layers: nothing overflows from this width on.
int widest_observed_bits(const Json& layers);

// A value as a cell of a table.
inline std::string integer(const Json& value) { return std::to_string(value.get<int64_t>()); }
inline std::string text(const Json& value) { return value.get<std::string>(); }

// The integer under a key, "" where there is none.
std::string integer_text(const Json& layer, const char* key);

// "16x28x28"
std::string extents_text(const std::vector<int64_t>& shape);

}  // namespace widthwise
