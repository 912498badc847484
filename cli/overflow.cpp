#include "cli/overflow.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/bench.h"
#include "cli/run_info.h"
#include "core/error.h"
#include "core/files.h"
#include "models/fuse.h"
#include "models/onnx_import.h"
#include "quant/quantized_import.h"
#include "reports/layer_tables.h"

namespace widthwise {
namespace {

std::string overflow_text(const Json& result) {
  std::string text = fmt::format(
      "{}: {} images of {} in {:.2f} s, {:.0f} images/s; sums exact, every accumulator width at "
      "once\n",
      result["network"].get<std::string>(), result["images"].get<int64_t>(),
      result["data"].get<std::string>(), result["seconds"].get<double>(),
      result["images_per_second"].get<double>());
  if (result["labelled"].get<bool>()) {
    text +=
        fmt::format("Top1 {:.2f}  Top5 {:.2f}  Loss {:.4f}\n", result["top1_percent"].get<double>(),
                    result["top5_percent"].get<double>(), result["mean_loss"].get<double>());
  }
  text += "\nAccumulator bits that each layer needs (" + accumulation_text(result) + ")\n" +
          bound_table(result).text();
  text += fmt::format("  {}\n  An image overflows there with a probability below {:.2g} %.\n",
                      kOverflowThere, result["images_zero_upper_bound_percent"].get<double>());
  text +=
      "\n% of outputs that overflow at each accumulator width under wrap ('-': proven safe by "
      "the weights)\n" +
      overflow_table(result).text();
  const TextTable inner = inner_overflow_table(result);
  if (inner.rows().size() > 1)
    text +=
        "\n% of outputs that overflow in the inner chain at each of its widths\n" + inner.text();
  return text;
}

}  // namespace

std::string overflow_census(const OverflowRequest& request, Progress& progress) {
  const auto file = model_path(request.network);
  const Graph graph = load_graph(file);
  const Accelerator accelerator = accelerator_of(request.accelerator);
  const Datapath& datapath = accelerator.datapath;
  const bool file_rounds = datapath.requantize.kind == RequantizeConfig::Kind::kFloat32;
  const Graph fused = fuse(graph, file_rounds ? FuseFor::kFile : FuseFor::kDatapath);
  if (!is_quantized(fused)) refuse_accelerator(file);
  const std::vector<GraphLayer> layers = graph_layers(fused);
  const auto yaml =
      request.preprocessing.empty() ? preprocessing_path(file) : request.preprocessing;
  const Preprocessing preprocessing = load_preprocessing(yaml);
  const auto data = take_inputs(
      open_data_set({.path = request.data, .labels = request.labels, .subset = request.subset},
                    preprocessing, network_ends(fused)),
      request.images, Take::kFirst, "--images");
  if (!request.out.empty()) check_writable(request.out);
  GraphRunOptions options;
  options.datapath = &datapath;
  options.census = true;
  const GraphRunner runner(fused, options);
  progress.begin(graph.name + " census", data->count(), "images");
  const Evaluation census = evaluate_graph(runner, *data, progress);
  progress.end();

  Json result = run_info(request.command, {file.string(), yaml.string(), accelerator.file});
  result["network"] = graph.name;
  result["data"] = data->file();
  result["accelerator"] = accelerator.name;
  result["accumulation"] = datapath.accumulation.describe();
  result["images"] = census.images;
  result["labelled"] = !data->labels().empty();
  if (!data->labels().empty()) {
    result["top1_percent"] = census.top1_percent();
    result["top5_percent"] = census.top5_percent();
    result["mean_loss"] = census.mean_loss;
  }
  result["seconds"] = census.seconds;
  result["images_per_second"] = static_cast<double>(census.images) / census.seconds;
  result["images_zero_upper_bound_percent"] = zero_upper_bound_percent(census.images);
  result["layers"] =
      layer_report(layers, datapath, census, kMinAccumulatorBits, request.per_channel);
  if (!request.out.empty()) write_file(request.out, json_text(result));
  return request.json ? json_text(result) : overflow_text(result);
}

}  // namespace widthwise
