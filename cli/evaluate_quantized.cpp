#include "cli/evaluate_quantized.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/bench.h"
#include "cli/evaluation_outputs.h"
#include "cli/refuse_option.h"
#include "core/error.h"
#include "core/files.h"
#include "models/onnx_import.h"
#include "quant/collector.h"
#include "quant/match_statistics.h"
#include "quant/module_network.h"
#include "quant/ptq_modules.h"
#include "quant/ptq_settings_text.h"
#include "quant/statistics_yaml.h"
#include "reports/text_table.h"

namespace widthwise {
namespace {

class QuantizedEvaluation {
 public:
  QuantizedEvaluation(const EvaluateRequest& request, Progress& progress)
      : request_(request), ptq_(request.ptq), progress_(progress) {}

  std::string run() {
    compat_ = compat_of(ptq_.compat);
    options_ = ptq_options(ptq_);
    check_request();
    load();
    open();
    EvaluationOutputs outputs(request_, *data_, ends_);
    if (!options_.dynamic) take_statistics();
    resolve_settings();
    const DistillerNetwork network = quantized();
    const std::string before = settings_text(resolved_) + messages_ + "\n";
    if (request_.print) request_.print(request_.json ? "" : before);
    evaluate(network, outputs);
    outputs.write();
    write_settings(network);
    report(network);
    if (!request_.out.empty()) write_file(request_.out, json_text(result_));
    if (request_.json) return json_text(result_);
    return (request_.print ? "" : before) + text();
  }

 private:
  void check_request() const {
    if (!request_.accelerator.empty())
      refuse_option("--accelerator", "is given, but this arithmetic has one of its own",
                    "leave it out, or quantize the network first: widthwise quantize");
    const bool none =
        !options_.dynamic && options_.statistics_file.empty() && ptq_.calibration.data.empty();
    if (none && !ptq_.config_file.empty())
      throw InputError({.file = ptq_.config_file,
                        .where = "",
                        .field = "model_activation_stats, dynamic",
                        .problem = "are both missing: where do ranges of activations come from?",
                        .fix = "add one of these keys, or give data to measure them on: "
                               "--calibration-data"});
    if (none)
      refuse_option(
          "--qe-stats-file, --qe-dynamic, --calibration-data", "are all missing",
          "say where the ranges of activations come from: a statistics file, each batch, or "
          "data to measure them on");
    if (takes_histograms() && (compat_ != Compat::kNone || options_.dynamic))
      refuse_option("--qe-clip-acts",
                    fmt::format("is by histogram, which {} does not have",
                                options_.dynamic ? "a batch" : "--compat " + ptq_.compat),
                    "take none, avg, n_std, gauss or laplace");
    check_files({model_path(request_.network).string(), request_.data, request_.labels,
                 request_.preprocessing.string(), ptq_.calibration.data, ptq_.calibration.labels,
                 options_.statistics_file, ptq_.config_file},
                {{"--out", request_.out},
                 {"--logits", request_.logits},
                 {"--inputs", request_.inputs},
                 {"--stats-out", ptq_.stats_out},
                 {"--settings-out", ptq_.settings_out},
                 {"--qe-config-out", ptq_.config_out}});
    if (!ptq_.config_out.empty() && ptq_.calibration.fraction && ptq_.stats_out.empty())
      refuse_option("--qe-config-out",
                    "is given beside --qe-calibration, which excludes a configuration file",
                    "add --stats-out: the file names those statistics");
    if (request_.batch < 1) refuse_option("--batch-size", "must be positive", "256 is Distiller's");
  }

  void load() {
    file_ = model_path(request_.network);
    const Graph graph = load_graph(file_);
    refuse_quantized(graph, "--quantize-eval");
    model_ = module_network(fold_for(graph, compat_));
    ends_ = model_.network;
  }

  void open() {
    preprocessing_file_ =
        request_.preprocessing.empty() ? preprocessing_path(file_) : request_.preprocessing;
    data_ = take_inputs(
        open_data_set({.path = request_.data, .labels = request_.labels, .subset = request_.subset},
                      load_preprocessing(preprocessing_file_), ends_),
        request_.images, Take::kFirst, "--images");
  }

  bool takes_histograms() const {
    return clips(options_, [](Clipping clip) { return clip > Clipping::kLaplace; });
  }

  // From the file, or measured.
  void take_statistics() {
    if (options_.statistics_file.empty()) {
      CalibrationData calibration = ptq_.calibration;
      calibration.images_option = "--calibration-images";
      calibration.preprocessing = preprocessing_file_;
      const auto data = open_calibration_data(calibration, file_, ends_, 1024);
      progress_.begin("statistics", 2 * data->count(), "images");
      statistics_ = collect_statistics(
          model_.network, model_.modules, image_source(*data), data->count(),
          {.compat = compat_, .histogram_bins = takes_histograms() ? kHistogramBins : 0},
          progress_);
      progress_.end();
      messages_ +=
          fmt::format("statistics measured on {} inputs of {}\n", data->count(), data->file());
      return;
    }
    const std::string& file = options_.statistics_file;
    MatchedStatistics matched =
        match_statistics(model_.network, model_.modules, read_statistics(file), file);
    const std::string text = matched_text(matched, file);
    model_.modules = std::move(matched.modules);
    statistics_ = std::move(matched.statistics);
    messages_ += text;
  }

  void resolve_settings() {
    resolved_ = resolve_modules(options_, model_, compat_, ptq_.config_file);
  }

  DistillerNetwork quantized() {
    return of_statistics(options_.statistics_file, [&] {
      return quantize_as_distiller(std::move(model_.network), model_.modules, resolved_.settings(),
                                   options_.dynamic ? nullptr : &*statistics_, compat_);
    });
  }

  void evaluate(const DistillerNetwork& network, EvaluationOutputs& outputs) {
    const DistillerRunner runner(network, request_.batch);
    progress_.begin(ends_.name, data_->count(), "images");
    evaluation_ = evaluate_distiller(runner, *data_, counts_, progress_, outputs.visitor());
    progress_.end();
  }

  void write_settings(const DistillerNetwork& network) {
    if (!ptq_.stats_out.empty()) write_file(ptq_.stats_out, statistics_yaml(*statistics_));
    if (!ptq_.settings_out.empty())
      write_file(ptq_.settings_out, settings_yaml(resolved_, &network));
    std::vector<std::string> beside;
    if (options_.dynamic) beside.push_back(fmt::format("--batch-size {}", request_.batch));
    config_note_ = write_config(ptq_, options_, beside);
  }

  void report(const DistillerNetwork& network) {
    std::vector<std::string> files = {file_.string(), preprocessing_file_.string()};
    for (const std::string& file : {options_.statistics_file, ptq_.config_file}) {
      if (!file.empty()) files.push_back(file);
    }
    result_ = run_info(request_.command, files);
    result_["network"] = ends_.name;
    result_["data"] = data_->file();
    result_["compat"] = ptq_.compat;
    add_evaluation(result_, evaluation_, !data_->labels().empty());
    result_["layers"] = Json::array();
    for (size_t i = 0; i < counts_.size(); ++i) {
      const DistillerLayer& layer = network.layers[i];
      const ClippingCounts& c = counts_[i];
      if (c.outputs == 0 && c.inputs == 0) continue;
      result_["layers"].push_back({{"name", layer.module},
                                   {"operator", network.network.layers[i].operator_type},
                                   {"outputs", c.outputs},
                                   {"outputs_clipped_low", c.clipped_low},
                                   {"outputs_clipped_high", c.clipped_high},
                                   {"inputs", c.inputs},
                                   {"inputs_clipped", c.inputs_clipped},
                                   {"accumulators_saturated", c.accumulators_saturated}});
    }
    result_["predictions"] = evaluation_.predictions;
  }

  std::string text() const {
    TextTable table({"layer", "operator", "outputs", "below range %", "above range %",
                     "inputs outside %", "accumulators saturated %"});
    for (const Json& layer : result_["layers"]) {
      const auto share = [&](const char* part, const char* whole) {
        const auto of = layer[whole].get<double>();
        return of == 0 ? std::string("-") : percent_text(100 * layer[part].get<double>() / of);
      };
      table.add({layer["name"], layer["operator"], std::to_string(layer["outputs"].get<int64_t>()),
                 share("outputs_clipped_low", "outputs"), share("outputs_clipped_high", "outputs"),
                 share("inputs_clipped", "inputs"), share("accumulators_saturated", "outputs")});
    }
    return evaluation_text(result_) + "\nClipped as it ran\n" + table.text() + config_note_;
  }

  const EvaluateRequest& request_;
  const PtqRequest& ptq_;
  Progress& progress_;
  Compat compat_ = Compat::kNone;
  PtqOptions options_;
  std::filesystem::path file_, preprocessing_file_;
  ModuleNetwork model_;
  NetworkEnds ends_;
  std::unique_ptr<DataSet> data_;
  std::optional<NetworkStatistics> statistics_;
  ResolvedSettings resolved_;
  std::string messages_, config_note_;
  std::vector<ClippingCounts> counts_;
  Evaluation evaluation_;
  Json result_;
};

}  // namespace

std::string evaluate_quantized(const EvaluateRequest& request, Progress& progress) {
  return QuantizedEvaluation(request, progress).run();
}

}  // namespace widthwise
