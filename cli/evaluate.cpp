#include "cli/evaluate.h"

#include <fmt/format.h>

#include <optional>

#include "cli/bench.h"
#include "cli/run_info.h"
#include "core/error.h"
#include "core/files.h"
#include "models/dataset.h"
#include "models/fuse.h"
#include "models/npy.h"
#include "models/onnx_import.h"
#include "models/operator.h"
#include "quant/quantized_import.h"
#include "reports/text_table.h"
#include "sim/evaluate.h"

namespace widthwise {
namespace {

class NetworkEvaluation {
 public:
  NetworkEvaluation(const EvaluateRequest& request, Progress& progress)
      : request_(request), progress_(progress) {}

  std::string run() {
    const auto file = model_path(request_.network);
    const Graph graph = load_graph(file);
    if (!request_.accelerator.empty()) accelerator_ = accelerator_of(request_.accelerator);
    const bool file_rounds =
        !accelerator_ || accelerator_->datapath.requantize.kind == RequantizeConfig::Kind::kFloat32;
    const Graph fused = fuse(graph, file_rounds ? FuseFor::kFile : FuseFor::kDatapath);
    const auto yaml =
        request_.preprocessing.empty() ? preprocessing_path(file) : request_.preprocessing;
    const Preprocessing preprocessing = load_preprocessing(yaml);
    const NetworkEnds ends = network_ends(fused);
    const auto data = take_inputs(
        open_data_set({.path = request_.data, .labels = request_.labels, .subset = request_.subset},
                      preprocessing, ends),
        request_.images, Take::kFirst, "--images");
    if (!request_.out.empty()) check_writable(request_.out);
    if (!request_.logits.empty()) {
      check_writable(request_.logits);
      logits_.resize(static_cast<size_t>(data->count() * ends.outputs));
    }
    if (!request_.inputs.empty()) write_inputs(*data, ends);
    const OutputVisitor keep = [&](int64_t first, int64_t, std::span<const float> outputs) {
      if (!logits_.empty())
        std::copy(outputs.begin(), outputs.end(), logits_.begin() + first * ends.outputs);
    };
    const bool quantized = is_quantized(fused);
    const auto layers = quantized ? std::nullopt : layers_if_any(graph);
    progress_.begin(graph.name, data->count(), "images");
    const Evaluation evaluation =
        layers ? evaluate_layers(*layers, *data, keep) : evaluate_nodes(fused, *data, keep);
    progress_.end();
    if (!request_.logits.empty())
      write_npy(request_.logits, npy_array<float>({data->count(), ends.outputs}, logits_));

    std::vector<std::string> inputs = {file.string(), yaml.string()};
    if (accelerator_) inputs.push_back(accelerator_->file);
    result_ = run_info(request_.command, inputs);
    result_["network"] = graph.name;
    result_["data"] = data->file();
    result_["accelerator"] = accelerator_ ? Json(accelerator_->name) : Json(nullptr);
    result_["images"] = evaluation.images;
    result_["labelled"] = !data->labels().empty();
    if (!data->labels().empty()) {
      result_["top1_percent"] = evaluation.top1_percent();
      result_["top5_percent"] = evaluation.top5_percent();
      result_["mean_loss"] = evaluation.mean_loss;
    }
    result_["seconds"] = evaluation.seconds;
    result_["images_per_second"] = static_cast<double>(evaluation.images) / evaluation.seconds;
    if (quantized && accelerator_) add_layers(fused, evaluation);
    result_["predictions"] = evaluation.predictions;
    if (!request_.out.empty()) write_file(request_.out, json_text(result_));
    return request_.json ? json_text(result_) : text();
  }

 private:
  static void check_writable(const std::filesystem::path& path) {
    const auto folder = std::filesystem::absolute(path).parent_path();
    if (!std::filesystem::is_directory(folder)) {
      throw InputError({.file = path.string(),
                        .where = "",
                        .field = "",
                        .problem = "cannot be written: its folder does not exist",
                        .fix = "make the folder, or name another file"});
    }
  }

  // The network's inputs as another program can read them.
  void write_inputs(const DataSet& data, const NetworkEnds& ends) const {
    check_writable(request_.inputs);
    std::vector<float> values(static_cast<size_t>(data.count() * data.input_elements()));
    data.read(0, data.count(), values);
    std::vector<int64_t> shape = {data.count()};
    shape.insert(shape.end(), ends.input.begin(), ends.input.end());
    write_npy(request_.inputs, npy_array<float>(shape, values));
  }

  Evaluation evaluate_nodes(const Graph& fused, const DataSet& data, const OutputVisitor& keep) {
    GraphRunOptions options;
    options.datapath = accelerator_ ? &accelerator_->datapath : nullptr;
    options.count = accelerator_.has_value();
    return evaluate_graph(GraphRunner(fused, options), data, progress_, keep);
  }

  Evaluation evaluate_layers(const FloatNetwork& network, const DataSet& data,
                             const OutputVisitor& keep) {
    if (accelerator_) {
      throw InputError({.file = request_.network,
                        .where = "",
                        .field = "--accelerator",
                        .problem = "is given, but the network is not quantized",
                        .fix = "quantize it first: widthwise quantize"});
    }
    const ImageSource source = [&](int64_t first, int64_t count, std::span<float> values) {
      data.read(first, count, values);
    };
    return evaluate_float(network, source, data.count(), data.labels(), progress_, keep);
  }

  void add_layers(const Graph& fused, const Evaluation& evaluation) {
    result_["layers"] = Json::array();
    size_t next = 0;
    const ValueShapes none;
    for (const GraphNode& node : fused.nodes) {
      if (checked_operator(NodeView(fused, node, none)).mac == nullptr) continue;
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
    std::string text = fmt::format(
        "{}: {} images of {} in {:.2f} s, {:.0f} images/s\n", result_["network"].get<std::string>(),
        result_["images"].get<int64_t>(), result_["data"].get<std::string>(),
        result_["seconds"].get<double>(), result_["images_per_second"].get<double>());
    if (result_["labelled"].get<bool>()) {
      text += fmt::format(
          "Top1 {:.2f}  Top5 {:.2f}  Loss {:.4f}\n", result_["top1_percent"].get<double>(),
          result_["top5_percent"].get<double>(), result_["mean_loss"].get<double>());
    }
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
  std::optional<Accelerator> accelerator_;
  std::vector<float> logits_;
  Json result_;
};

}  // namespace

std::string evaluate_network(const EvaluateRequest& request, Progress& progress) {
  return NetworkEvaluation(request, progress).run();
}

}  // namespace widthwise
