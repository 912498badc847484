#include "sim/layer_bounds.h"

#include <algorithm>

namespace widthwise {
namespace {

SumBounds bounds_with_bias(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                           BiasMode mode, bool with_bias) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const auto length = static_cast<size_t>(workload.reduction_length());
  SumBounds all;
  std::vector<int32_t> weights(length);
  for (int64_t oc = 0; oc < workload.window.ofmap_channels; ++oc) {
    const int32_t* from = layer.weights.data() + static_cast<size_t>(oc) * length;
    std::transform(from, from + length, weights.begin(),
                   [&](int32_t code) { return code - layer.weight_zero_point(oc); });
    const int64_t bias = with_bias ? layer.bias[static_cast<size_t>(oc)] : 0;
    const SumBounds one = weight_bounds(weights, ifmap.format, ifmap.zero_point, bias, mode);
    all.low = oc == 0 ? one.low : std::min(all.low, one.low);
    all.high = oc == 0 ? one.high : std::max(all.high, one.high);
  }
  return all;
}

bool holds(const Stage& chain, const SumBounds& sums) {
  const IntegerFormat format{chain.bits, true};
  return sums.low >= least_fitting(format, chain.overflow) && sums.high <= format.max();
}

}  // namespace

SumBounds layer_weight_bounds(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                              BiasMode mode) {
  return bounds_with_bias(layer, ifmap, mode, true);
}

SumBounds layer_data_type_bounds(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                                 BiasMode mode) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const auto [least, greatest] = std::minmax_element(layer.bias.begin(), layer.bias.end());
  return data_type_bounds(ifmap.format, ifmap.zero_point, layer.weight_format,
                          workload.reduction_length(), workload.unit_weights,
                          {.low = *least, .high = *greatest}, mode);
}

bool proven_safe(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                 const Accumulation& accumulation) {
  if (!holds(accumulation.outermost(), layer_weight_bounds(layer, ifmap, accumulation.bias))) {
    return false;
  }
  if (accumulation.stages.size() == 1) return true;
  const SumBounds inner = bounds_with_bias(layer, ifmap, accumulation.bias, false);
  return std::all_of(
      accumulation.stages.begin(), accumulation.stages.end() - 1,
      [&](const Stage& s) { return s.kind == Stage::Kind::kTree || holds(s, inner); });
}

}  // namespace widthwise
