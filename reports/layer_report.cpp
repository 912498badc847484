#include "reports/layer_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>

#include "sim/layer_bounds.h"

namespace widthwise {
namespace {

double percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

struct Widths {
  int first, last;
};

// percent_at(bits) at every width.
template <class PercentAt>
Json by_width(const Widths& widths, PercentAt&& percent_at) {
  Json json = Json::object();
  for (int bits = widths.first; bits <= widths.last; ++bits)
    json[std::to_string(bits)] = percent_at(bits);
  return json;
}

constexpr std::pair<const char*, OverflowPolicy> kPolicies[] = {
    {"wrap", OverflowPolicy::kWrap}, {"saturate", OverflowPolicy::kSaturate}};

// Rates of a layer, or of one of its channels.
template <class... Channel>
void add_rates(Json& json, const LayerCensus& census, const Widths& widths, int64_t outputs,
               Channel... channel) {
  for (const auto& [name, policy] : kPolicies) {
    json[fmt::format("hit_percent_{}", name)] = by_width(widths, [&, policy = policy](int bits) {
      return percent(census.hit(bits, policy, channel...), outputs);
    });
  }
  json["misfit_percent"] = by_width(
      widths, [&](int bits) { return percent(census.final_misfit(bits, channel...), outputs); });
}

void add_inner(Json& json, const LayerCensus& census, const Widths& widths) {
  const Widths inner{widths.first, std::max(widths.first, census.observed_inner_bits())};
  json["observed_inner_bits"] = census.observed_inner_bits();
  json["observed_inner_least"] = census.inner_least();
  json["observed_inner_greatest"] = census.inner_greatest();
  json["inner_hit_percent"] =
      by_width(inner, [&](int bits) { return percent(census.inner_hit(bits), census.outputs()); });
  for (const auto& [name, policy] : kPolicies) {
    json[fmt::format("pair_hit_percent_{}", name)] =
        by_width(inner, [&, policy = policy](int inner_bits) {
          return by_width(widths, [&](int bits) {
            return percent(census.hit(inner_bits, bits, policy), census.outputs());
          });
        });
  }
}

Json channels_json(const LayerCensus& census, const Widths& widths) {
  Json channels = Json::array();
  for (int64_t channel = 0; channel < census.channels(); ++channel) {
    const int64_t outputs = census.outputs() / census.channels();
    Json one = {{"observed_least", census.least(channel)},
                {"observed_greatest", census.greatest(channel)},
                {"outputs", outputs}};
    add_rates(one, census, widths, outputs, channel);
    channels.push_back(one);
  }
  return channels;
}

// A layer where it lives.
struct Described {
  const QuantizedLayer& layer;
  const TensorQuantization& ifmap;
  const std::vector<int64_t>&ifmap_shape, &ofmap_shape;
  int64_t macs = 0;
  bool constant_weights = true;
};

Json one_layer(const Described& described, const Datapath& datapath, const LayerCensus& census,
               int min_bits, bool per_channel) {
  const QuantizedLayer& layer = described.layer;
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const BiasMode mode = datapath.layer_accumulation(layer.name).bias;
  const IntegerFormat ifmap_format = described.ifmap.format;
  // No accumulator is narrower: weights that are all zero ask for 1 bit.
  const auto allowed = [](const SumBounds& sums) {
    return std::max(kMinAccumulatorBits, sums.bits());
  };
  const int data_type_bits = allowed(layer_data_type_bounds(layer, described.ifmap, mode));
  const int weight_bits = described.constant_weights
                              ? allowed(layer_weight_bounds(layer, described.ifmap, mode))
                              : data_type_bits;

  const Widths widths{min_bits, std::max(min_bits, data_type_bits)};
  Json json = {{"name", layer.name},
               {"operator", layer.operator_type},
               {"ifmap_shape", described.ifmap_shape},
               {"ofmap_shape", described.ofmap_shape},
               {"groups", workload.groups},
               {"k", workload.reduction_length()},
               {"macs", described.macs},
               {"accumulation", datapath.layer_accumulation(layer.name).describe()},
               {"ifmap_format", ifmap_format.name()},
               {"ifmap_zero_point", described.ifmap.zero_point},
               {"weight_format", workload.unit_weights ? "1" : layer.weight_format.name()},
               {"textbook_bits", textbook_bits(ifmap_format.bits,
                                               workload.unit_weights ? 0 : layer.weight_format.bits,
                                               workload.reduction_length())},
               {"data_type_bound_bits", data_type_bits},
               {"weight_bound_bits", weight_bits},
               {"observed_bits", census.observed_bits()},
               {"observed_least", census.least()},
               {"observed_greatest", census.greatest()},
               {"outputs", census.outputs()},
               {"zero_upper_bound_percent", zero_upper_bound_percent(census.outputs())}};
  add_rates(json, census, widths, census.outputs());
  if (census.has_inner()) add_inner(json, census, widths);
  if (per_channel) json["channels"] = channels_json(census, widths);
  return json;
}

}  // namespace

Json layer_report(const QuantizedNetwork& network, const Datapath& datapath,
                  const Evaluation& census, int min_bits) {
  Json layers = Json::array();
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const QuantizedLayer& layer = network.layers[i];
    const auto* workload = std::get_if<MatmulWorkload>(&layer.workload);
    if (workload == nullptr) continue;
    const QuantizedTensor& ifmap = network.tensor(layer.ifmaps.at(0));
    layers.push_back(one_layer({layer, ifmap.quantization, ifmap.shape,
                                network.tensor(layer.ofmap).shape, workload->macs()},
                               datapath, census.records[i].census, min_bits, false));
  }
  return layers;
}

Json layer_report(const std::vector<GraphLayer>& layers, const Datapath& datapath,
                  const Evaluation& census, int min_bits, bool per_channel) {
  Json all = Json::array();
  for (size_t i = 0; i < layers.size(); ++i) {
    const GraphLayer& l = layers[i];
    all.push_back(
        one_layer({l.layer, l.ifmap, l.ifmap_shape, l.ofmap_shape, l.macs, l.constant_weights},
                  datapath, census.records.at(i).census, min_bits, per_channel));
  }
  return all;
}

double zero_upper_bound_percent(int64_t samples) {
  if (samples == 0) return 100;
  const auto trials = static_cast<double>(samples);
  return 100 * boost::math::binomial_distribution<>::find_upper_bound_on_p(trials, 0, 0.05);
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
