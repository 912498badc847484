#include "cli/width_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "cli/refuse_option.h"
#include "hwmodel/cost_table.h"
#include "quant/choose_widths.h"
#include "reports/text_table.h"

namespace widthwise {
namespace {

// Of a layer per image: a multiplier of these operands, and an adder of what their sums can need.
double mac_energy_uj(const CostTable& table, const FloatLayer& layer, int ifmap_bits,
                     int weight_bits) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const auto length = static_cast<uint64_t>(workload.reduction_length());
  const int sum_bits = ifmap_bits + weight_bits + static_cast<int>(std::bit_width(length - 1));
  const double pj = table
                        .lookup("multiplier", "multiply", std::max(ifmap_bits, weight_bits),
                                std::min(ifmap_bits, weight_bits))
                        .energy_pj +
                    table.lookup("adder", "add", sum_bits).energy_pj;
  return static_cast<double>(workload.macs()) * pj * 1e-6;
}

constexpr int kWidest = 8;

// What `choose` refuses of a budget, by the names of options.
template <class Choose>
WidthChoice by_options(const Choose& choose) {
  try {
    return choose();
  } catch (const InputError& error) {
    InputProblem problem = error.problem();
    if (problem.where != "budget") throw;
    const bool points = problem.field.find("points") != std::string::npos,
               cost = problem.field.find("cost") != std::string::npos;
    if (points || cost) {
      problem.where.clear();
      problem.field = !points ? "--energy-budget-uj" : "--points-lost";
      if (points && cost) problem.field += ", --energy-budget-uj";
    }
    throw InputError(problem);
  }
}

}  // namespace

HalvedData::HalvedData(const DataSet& data) {
  const int64_t half = (data.count() + 1) / 2, elements = data.input_elements();
  const auto at = [half](int64_t i) { return i < half ? 2 * i : 2 * (i - half) + 1; };
  source = [&data, at, elements](int64_t first, int64_t count, std::span<float> values) {
    for (int64_t i = 0; i < count; ++i)
      data.read(at(first + i), 1,
                values.subspan(static_cast<size_t>(i * elements), static_cast<size_t>(elements)));
  };
  if (data.labels().empty()) return;
  for (int64_t i = 0; i < data.count(); ++i)
    labels.push_back(data.labels()[static_cast<size_t>(at(i))]);
}

ChosenWidths choose_widths_within(const MethodRequest& request, const FloatNetwork& network,
                                  const HalvedData& data, QuantizationConfig& config,
                                  Progress& progress) {
  if (data.labels.empty())
    refuse_option("--points-lost, --energy-budget-uj", "need labelled calibration inputs",
                  "name their labels: --labels");
  const CostTable table =
      load_cost_table(request.cost_table.empty() ? "horowitz_45nm" : request.cost_table);
  const LayerCost cost = [&](const FloatLayer& layer, int ifmap_bits, int weight_bits) {
    return mac_energy_uj(table, layer, ifmap_bits, weight_bits);
  };
  config.layers.clear();
  config.first_last_bits.reset();
  config.ifmap.bits = config.weight.bits = kWidest;
  if (!config.elementwise_bits) config.elementwise_bits = kWidest;
  const WidthChoice choice = by_options([&] {
    return choose_widths(network, data.source, data.labels, config,
                         {.points_lost = request.points_lost, .cost = request.energy_budget_uj},
                         cost, progress);
  });
  config.layers = choice.layers;
  double widest = 0;
  TextTable text({"layer", "ifmap bits", "weight bits", "MAC energy uJ", "at 8 x 8 bits"});
  for (const FloatLayer& layer : network.layers) {
    const auto bits = choice.layers.find(layer.name);
    if (bits == choice.layers.end()) continue;
    const int a = bits->second.ifmap.value_or(kWidest), w = bits->second.weight.value_or(kWidest);
    const double whole = cost(layer, kWidest, kWidest);
    widest += whole;
    text.add({layer.name, std::to_string(a), std::to_string(w),
              fmt::format("{:.4f}", cost(layer, a, w)), fmt::format("{:.4f}", whole)});
  }
  return {text.text() +
              fmt::format("  MACs {:.3f} uJ of {:.3f} uJ at 8 x 8 bits ({}{}); top-1 {:.2f} % of "
                          "the inputs that "
                          "it was not rounded on, FP32 {:.2f} %\n\n",
                          choice.cost, widest, table.name(),
                          config.float_activations.empty() && config.float_weights.empty()
                              ? ""
                              : "; layers in float are not counted",
                          choice.percent, choice.float_percent),
          choice.rounded_images};
}

}  // namespace widthwise
