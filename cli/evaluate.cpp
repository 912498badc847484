#include "cli/evaluate.h"

#include <fmt/format.h>

#include <optional>

#include "cli/bench.h"
#include "cli/evaluate_quantized.h"
#include "cli/evaluation_lines.h"
#include "core/files.h"
#include "models/dataset.h"
#include "models/npy.h"
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
    network_ = load_evaluation_network(request_);
    const EvaluationData data = open_evaluation_data(request_, network_);
    const DataSet& inputs = *data.inputs;
    for (const auto& path : {request_.out, request_.logits, request_.inputs}) {
      if (!path.empty()) check_writable(path);
    }
    const int64_t outputs_each = data.ends.outputs;
    if (!request_.logits.empty())
      logits_.resize(static_cast<size_t>(inputs.count() * outputs_each));
    std::optional<EvaluationLines> lines;
    if (request_.print_freq > 0 && request_.print)
      lines.emplace(inputs.count(), inputs.labels(), request_.batch, request_.print_freq,
                    [&](const std::string& line) { request_.print(line + "\n"); });
    const OutputVisitor keep = [&](int64_t first, int64_t count, std::span<const float> outputs) {
      if (lines) lines->add(first, count, outputs);
      if (!logits_.empty())
        std::copy(outputs.begin(), outputs.end(), logits_.begin() + first * outputs_each);
    };
    if (network_.accelerator && !network_.quantized) refuse_accelerator(network_.file);
    const auto layers = network_.quantized ? std::nullopt : layers_if_any(network_.graph);
    progress_.begin(network_.graph.name, inputs.count(), "images");
    const Evaluation evaluation =
        layers ? evaluate_layers(*layers, inputs, keep) : evaluate_nodes(inputs, keep);
    progress_.end();
    if (!request_.inputs.empty()) write_inputs(inputs, data.ends);
    if (!request_.logits.empty())
      write_npy(request_.logits, npy_array<float>({inputs.count(), outputs_each}, logits_));

    result_ = evaluation_json(request_, network_, data, evaluation);
    if (network_.quantized && network_.accelerator) add_layers(evaluation);
    result_["predictions"] = evaluation.predictions;
    if (!request_.out.empty()) write_file(request_.out, json_text(result_));
    return request_.json ? json_text(result_) : text();
  }

 private:
  // The network's inputs as another program can read them.
  void write_inputs(const DataSet& data, const NetworkEnds& ends) const {
    std::vector<float> values(static_cast<size_t>(data.count() * data.input_elements()));
    data.read(0, data.count(), values);
    std::vector<int64_t> shape = {data.count()};
    shape.insert(shape.end(), ends.input.begin(), ends.input.end());
    write_npy(request_.inputs, npy_array<float>(shape, values));
  }

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
  std::vector<float> logits_;
  Json result_;
};

}  // namespace

std::string evaluate_network(const EvaluateRequest& request, Progress& progress) {
  if (request.quantize_eval) return evaluate_quantized(request, progress);
  return NetworkEvaluation(request, progress).run();
}

}  // namespace widthwise
