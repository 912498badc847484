#include "cli/evaluate.h"

#include <fmt/format.h>

#include <optional>

#include "cli/bench.h"
#include "cli/evaluate_quantized.h"
#include "cli/evaluation_outputs.h"
#include "cli/refuse_option.h"
#include "core/files.h"
#include "models/dataset.h"
#include "models/operator.h"
#include "reports/text_table.h"
#include "sim/evaluate.h"

namespace widthwise {
namespace {

class NetworkEvaluation {
 public:
  NetworkEvaluation(const EvaluateRequest& request, Progress& progress)
      : request_(request), progress_(progress) {}

  std::string run() {
    check_files(
        {model_path(request_.network).string(), request_.data, request_.labels,
         request_.preprocessing.string()},
        {{"--out", request_.out}, {"--logits", request_.logits}, {"--inputs", request_.inputs}});
    network_ = load_evaluation_network(request_);
    const EvaluationData data = open_evaluation_data(request_, network_);
    const DataSet& inputs = *data.inputs;
    EvaluationOutputs outputs(request_, inputs, data.ends);
    if (network_.accelerator && !network_.quantized) refuse_accelerator(network_.file);
    const auto layers = network_.quantized ? std::nullopt : layers_if_any(network_.graph);
    progress_.begin(network_.graph.name, inputs.count(), "images");
    const Evaluation evaluation = layers ? evaluate_layers(*layers, inputs, outputs.visitor())
                                         : evaluate_nodes(inputs, outputs.visitor());
    progress_.end();
    outputs.write();
    result_ = evaluation_json(request_, network_, data, evaluation);
    if (network_.quantized && network_.accelerator) add_layers(evaluation);
    result_["predictions"] = evaluation.predictions;
    if (!request_.out.empty()) write_file(request_.out, json_text(result_));
    return request_.json ? json_text(result_) : text();
  }

 private:
  Evaluation evaluate_nodes(const DataSet& data, const OutputVisitor& keep) {
    GraphRunOptions options;
    options.datapath = network_.accelerator ? &network_.accelerator->datapath : nullptr;
    options.count = network_.accelerator.has_value();
    return evaluate_graph(GraphRunner(network_.fused, options), data, progress_, keep);
  }

  Evaluation evaluate_layers(const FloatNetwork& network, const DataSet& data,
                             const OutputVisitor& keep) {
    return evaluate_float(network, image_source(data), data.count(), data.labels(), progress_,
                          keep);
  }

  void add_layers(const Evaluation& evaluation) {
    result_["layers"] = Json::array();
    size_t next = 0;
    const ValueShapes none;
    for (const GraphNode& node : network_.fused.nodes) {
      if (checked_operator(NodeView(network_.fused, node, none)).mac == nullptr) continue;
      const OverflowCounts& counts = evaluation.records.at(next++).counts;
      result_["layers"].push_back({{"name", node.name},
                                   {"operator", node.op_type},
                                   {"outputs", counts.outputs},
                                   {"additions_overflowed", counts.additions_overflowed},
                                   {"outputs_hit", counts.outputs_hit},
                                   {"outputs_wrong", counts.outputs_wrong}});
    }
  }

  std::string text() const {
    const std::string text = evaluation_text(result_);
    if (!result_.contains("layers")) return text;
    TextTable table({"layer", "operator", "outputs", "overflowed additions", "hit %", "wrong %"});
    for (const Json& layer : result_["layers"]) {
      const auto outputs = layer["outputs"].get<double>();
      table.add({layer["name"], layer["operator"], std::to_string(layer["outputs"].get<int64_t>()),
                 std::to_string(layer["additions_overflowed"].get<int64_t>()),
                 percent_text(100 * layer["outputs_hit"].get<double>() / outputs),
                 percent_text(100 * layer["outputs_wrong"].get<double>() / outputs)});
    }
    return text + "\n" + table.text();
  }

  const EvaluateRequest& request_;
  Progress& progress_;
  EvaluationNetwork network_;
  Json result_;
};

}  // namespace

std::string evaluate_network(const EvaluateRequest& request, Progress& progress) {
  if (request.print_freq < 0)
    refuse_option("--print-freq", fmt::format("is {}, allowed from 0", request.print_freq),
                  "0 prints no lines");
  if (request.quantize_eval) return evaluate_quantized(request, progress);
  return NetworkEvaluation(request, progress).run();
}

}  // namespace widthwise
