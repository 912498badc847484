#include "cli/overflow.h"

#include <fmt/format.h>

#include "cli/bench.h"
#include "core/files.h"
#include "reports/layer_tables.h"

namespace widthwise {
namespace {

std::string overflow_text(const Json& result) {
  std::string text = evaluation_text(result, "; sums exact, every accumulator width at once");
  text += "\nAccumulator bits that each layer needs (" + accumulation_text(result) + ")\n" +
          bound_table(result).text();
  text += fmt::format("  {}\n  An image overflows there with a probability below {:.2g} %.\n",
                      kOverflowThere, result["images_zero_upper_bound_percent"].get<double>());
  text += std::string("\n") + kOverflowTable + "\n" + overflow_table(result).text();
  const TextTable inner = inner_overflow_table(result);
  if (inner.rows().size() > 1)
    text +=
        "\n% of outputs that overflow in the inner chain at each of its widths\n" + inner.text();
  return text;
}

}  // namespace

std::string overflow_census(const OverflowRequest& request, Progress& progress) {
  if (request.accelerator.empty()) accelerator_of(request.accelerator);  // refuses it
  const EvaluationNetwork network = load_evaluation_network(request);
  if (!network.quantized) refuse_accelerator(network.file);
  const Datapath& datapath = network.accelerator.value().datapath;
  const std::vector<GraphLayer> layers = graph_layers(network.fused);
  const EvaluationData data = open_evaluation_data(request, network);
  if (!request.out.empty()) check_writable(request.out);
  GraphRunOptions options;
  options.datapath = &datapath;
  options.census = true;
  const GraphRunner runner(network.fused, options);
  progress.begin(network.graph.name + " census", data.inputs->count(), "images");
  const Evaluation census = evaluate_graph(runner, *data.inputs, progress);
  progress.end();

  Json result = evaluation_json(request, network, data, census);
  result["accumulation"] = datapath.accumulation.describe();
  result["images_zero_upper_bound_percent"] = zero_upper_bound_percent(census.images);
  result["layers"] =
      layer_report(layers, datapath, census, kMinAccumulatorBits, request.per_channel);
  if (!request.out.empty()) write_file(request.out, json_text(result));
  return request.json ? json_text(result) : overflow_text(result);
}

}  // namespace widthwise
