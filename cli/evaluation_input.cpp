#include "cli/evaluation_input.h"

#include <fmt/format.h>

#include "cli/bench.h"
#include "models/fuse.h"
#include "models/onnx_import.h"
#include "quant/quantized_import.h"

namespace widthwise {

EvaluationNetwork load_evaluation_network(const EvaluationRequest& request) {
  EvaluationNetwork network;
  network.file = model_path(request.network);
  network.graph = load_graph(network.file);
  if (!request.accelerator.empty()) network.accelerator = accelerator_of(request.accelerator);
  const bool file_rounds = !network.accelerator || network.accelerator->datapath.requantize.kind ==
                                                       RequantizeConfig::Kind::kFloat32;
  network.fused = fuse(network.graph, file_rounds ? FuseFor::kFile : FuseFor::kDatapath);
  network.quantized = is_quantized(network.fused);
  return network;
}

EvaluationData open_evaluation_data(const EvaluationRequest& request,
                                    const EvaluationNetwork& network) {
  EvaluationData data;
  data.preprocessing =
      request.preprocessing.empty() ? preprocessing_path(network.file) : request.preprocessing;
  const Preprocessing preprocessing = load_preprocessing(data.preprocessing);
  data.ends = network_ends(network.fused);
  data.inputs = take_inputs(
      open_data_set({.path = request.data, .labels = request.labels, .subset = request.subset},
                    preprocessing, data.ends),
      request.images, Take::kFirst, "--images");
  return data;
}

Json evaluation_json(const EvaluationRequest& request, const EvaluationNetwork& network,
                     const EvaluationData& data, const Evaluation& evaluation) {
  std::vector<std::string> files = {network.file.string(), data.preprocessing.string()};
  if (network.accelerator) files.push_back(network.accelerator->file);
  Json result = run_info(request.command, files);
  result["network"] = network.graph.name;
  result["data"] = data.inputs->file();
  result["accelerator"] = network.accelerator ? Json(network.accelerator->name) : Json(nullptr);
  add_evaluation(result, evaluation, !data.inputs->labels().empty());
  return result;
}

void add_evaluation(Json& result, const Evaluation& evaluation, bool labelled) {
  result["images"] = evaluation.images;
  result["labelled"] = labelled;
  if (labelled) {
    result["top1_percent"] = evaluation.top1_percent();
    result["top5_percent"] = evaluation.top5_percent();
    result["mean_loss"] = evaluation.mean_loss;
  }
  result["seconds"] = evaluation.seconds;
  result["images_per_second"] = static_cast<double>(evaluation.images) / evaluation.seconds;
}

std::string evaluation_text(const Json& result, const std::string& note) {
  std::string text = fmt::format(
      "{}: {} images of {} in {:.2f} s, {:.0f} images/s{}\n", result["network"].get<std::string>(),
      result["images"].get<int64_t>(), result["data"].get<std::string>(),
      result["seconds"].get<double>(), result["images_per_second"].get<double>(), note);
  if (result["labelled"].get<bool>()) {
    text +=
        fmt::format("Top1 {:.2f}  Top5 {:.2f}  Loss {:.4f}\n", result["top1_percent"].get<double>(),
                    result["top5_percent"].get<double>(), result["mean_loss"].get<double>());
  }
  return text;
}

}  // namespace widthwise
