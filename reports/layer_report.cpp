#include "reports/layer_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/layer_bounds.h"

namespace widthwise {
namespace {

double percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

Json one_layer(const QuantizedNetwork& network, const QuantizedLayer& layer,
               const Datapath& datapath, const LayerCensus& census, int min_bits) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const QuantizedTensor& ifmap = network.tensor(layer.ifmaps.at(0));
  const BiasMode mode = datapath.layer_accumulation(layer.name).bias;
  const IntegerFormat ifmap_format = ifmap.quantization.format;
  // No accumulator is narrower: weights that are all zero ask for 1 bit.
  const auto allowed = [](const SumBounds& sums) {
    return std::max(kMinAccumulatorBits, sums.bits());
  };
  const int data_type_bits = allowed(layer_data_type_bounds(layer, ifmap.quantization, mode));

  Json wrap = Json::object(), saturate = Json::object(), misfit = Json::object();
  for (int bits = min_bits; bits <= std::max(min_bits, data_type_bits); ++bits) {
    const std::string key = std::to_string(bits);
    wrap[key] = percent(census.hit(bits, OverflowPolicy::kWrap), census.outputs());
    saturate[key] = percent(census.hit(bits, OverflowPolicy::kSaturate), census.outputs());
    misfit[key] = percent(census.final_misfit(bits), census.outputs());
  }
  return {{"name", layer.name},
          {"operator", layer.operator_type},
          {"ifmap_shape", ifmap.shape},
          {"ofmap_shape", network.tensor(layer.ofmap).shape},
          {"groups", workload.groups},
          {"k", workload.reduction_length()},
          {"macs", workload.macs()},
          {"accumulation", datapath.layer_accumulation(layer.name).describe()},
          {"ifmap_format", ifmap_format.name()},
          {"ifmap_zero_point", ifmap.quantization.zero_point},
          {"weight_format", workload.unit_weights ? "1" : layer.weight_format.name()},
          {"textbook_bits",
           textbook_bits(ifmap_format.bits, workload.unit_weights ? 0 : layer.weight_format.bits,
                         workload.reduction_length())},
          {"data_type_bound_bits", data_type_bits},
          {"weight_bound_bits", allowed(layer_weight_bounds(layer, ifmap.quantization, mode))},
          {"observed_bits", census.observed_bits()},
          {"observed_least", census.least()},
          {"observed_greatest", census.greatest()},
          {"outputs", census.outputs()},
          {"hit_percent_wrap", wrap},
          {"hit_percent_saturate", saturate},
          {"misfit_percent", misfit}};
}

}  // namespace

Json layer_report(const QuantizedNetwork& network, const Datapath& datapath,
                  const Evaluation& census, int min_bits) {
  Json layers = Json::array();
  for (size_t i = 0; i < network.layers.size(); ++i) {
    if (!std::holds_alternative<MatmulWorkload>(network.layers[i].workload)) continue;
    layers.push_back(
        one_layer(network, network.layers[i], datapath, census.records[i].census, min_bits));
  }
  return layers;
}

int widest_observed_bits(const Json& layers) {
  int bits = kMinAccumulatorBits;
  for (const Json& layer : layers) bits = std::max(bits, layer.at("observed_bits").get<int>());
  return bits;
}

std::string integer_text(const Json& layer, const char* key) {
  return layer.contains(key) ? std::to_string(layer[key].get<int64_t>()) : "";
}

std::string extents_text(const std::vector<int64_t>& shape) {
  return fmt::format("{}", fmt::join(shape, "x"));
}

}  // namespace widthwise
