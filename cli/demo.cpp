#include "cli/demo.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "cli/bench.h"
#include "cli/cosim_run.h"
#include "cli/run_info.h"
#include "codegen/array_parameters.h"
#include "core/error.h"
#include "core/files.h"
#include "hwmodel/cost_table.h"
#include "hwmodel/cycles.h"
#include "models/lowering.h"
#include "quant/onnx_writer.h"
#include "quant/quantize_calibrated.h"
#include "reports/cost_report.h"
#include "reports/demo_page.h"
#include "reports/demo_text.h"

namespace widthwise {
namespace {

constexpr const char* kResultFile = "demo.json";
constexpr int kNarrowestReported = 4;  // bits; of the overflow tables
constexpr double kAtChance = 1.5;  // times the accuracy of guessing: narrower widths are not run

Json run_json(const Evaluation& run, const Evaluation& baseline) {
  int64_t same = 0;
  for (size_t i = 0; i < run.predictions.size(); ++i)
    same += run.predictions[i] == baseline.predictions[i];
  return {{"top1_percent", run.top1_percent()},
          {"top5_percent", run.top5_percent()},
          {"mean_loss", run.mean_loss},
          {"agree_percent", 100.0 * static_cast<double>(same) / static_cast<double>(run.images)},
          {"seconds", run.seconds}};
}

// The most hit layer at a width, in percent of its outputs.
double most_hit_percent(const Evaluation& census, const QuantizedNetwork& network, int bits) {
  double most = 0;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    if (!std::holds_alternative<MatmulWorkload>(network.layers[i].workload)) continue;
    const LayerCensus& layer = census.records[i].census;
    const int64_t hit = std::max(layer.hit(bits, OverflowPolicy::kWrap),
                                 layer.hit(bits, OverflowPolicy::kSaturate));
    most = std::max(most, 100.0 * static_cast<double>(hit) / static_cast<double>(layer.outputs()));
  }
  return most;
}

class Demo {
 public:
  Demo(const DemoOptions& options, Progress& progress) : options_(options), progress_(progress) {}

  DemoOutcome run() {
    check_options();
    for (const std::string& name : options_.accelerators) add_accelerator(accelerator_of(name));
    StagedFolder folder(options_.out, kResultFile);
    bench_ =
        load_bench(options_.model, options_.data, options_.images, options_.calibration_images);
    result_ = run_info(options_.command, input_files());
    result_["network"] = {{"name", bench_.model.network.name},
                          {"parameters", network_parameters(bench_.model.network)},
                          {"macs", network_macs(bench_.model.network)}};
    result_["data"] = {{"name", bench_.preprocessing.data},
                       {"test_images", bench_.test.count},
                       {"calibration_images", bench_.training.count}};
    baseline_ = evaluate_float(bench_, progress_);
    result_["float"] = run_json(baseline_, baseline_);

    result_["precisions"] = Json::array();
    for (const Accelerator& accelerator : accelerators_) {
      QuantizationConfig config = quantization_config(accelerator);
      config.per_channel = config.per_channel && !options_.per_tensor;
      if (options_.symmetric) config.activations = Symmetry::kSymmetric;
      if (is_narrow(accelerator)) {
        config.activation_range.clipping = Clipping::kMse;
        add_calibrated_methods(config);
      }
      networks_.push_back(quantize_calibrated(bench_.model.network,
                                              float_source(bench_.training, bench_.preprocessing),
                                              bench_.training.count, config, progress_));
      networks_.back().name = bench_.model.network.name;
    }
    std::vector<CostedNetwork> costed;
    for (size_t i = 0; i < accelerators_.size(); ++i) {
      write_file(folder.path() / (accelerators_[i].name + ".onnx"),
                 write_qcdq(bench_.model.graph, networks_[i]));
      result_["precisions"].push_back(precision(accelerators_[i], networks_[i]));
      costed.push_back({label(accelerators_[i]), &networks_[i], &accelerators_[i]});
    }
    result_["cost"] = cost_report(costed);
    result_["cosim"] = Json::array();
    if (options_.cosim) co_simulate(folder.path());

    write_file(folder.path() / kResultFile, json_text(result_));
    write_file(folder.path() / "index.html", demo_page(result_));
    folder.commit();
    return {demo_text(result_), match_};
  }

 private:
  void check_options() const {
    if (options_.sweep_widths >= 0) return;
    throw InputError({.file = "",
                      .where = "",
                      .field = "--sweep-widths",
                      .problem = fmt::format("is {}, allowed 0 or more", options_.sweep_widths),
                      .fix = "give the number of widths to run below the observed one"});
  }

  // Refuses, before any work, what a later step would refuse.
  void add_accelerator(Accelerator accelerator) {
    for (const Accelerator& other : accelerators_) {
      if (other.name != accelerator.name) continue;
      throw InputError({.file = accelerator.file,
                        .where = "",
                        .field = "name",
                        .problem = "is '" + accelerator.name + "', which " + other.file +
                                   " has too; it names the files",
                        .fix = "give every accelerator a name of its own"});
    }
    count_cycles({}, accelerator.datapath.accumulation, accelerator);
    array_parameters(accelerator);
    accelerators_.push_back(std::move(accelerator));
  }

  // Below 8 bits, ranges from minima and maxima and weights rounded one by one lose too much.
  static bool is_narrow(const Accelerator& accelerator) {
    return std::min(accelerator.datapath.ifmap.bits, accelerator.datapath.weight.bits) < 8;
  }

  // "INT8"; "W4A8" when the widths differ; with the accelerator's name when two would be alike.
  std::string label(const Accelerator& accelerator) const {
    const auto widths = [](const Accelerator& a) {
      const int ifmap = a.datapath.ifmap.bits, weight = a.datapath.weight.bits;
      return ifmap == weight ? fmt::format("INT{}", weight) : fmt::format("W{}A{}", weight, ifmap);
    };
    const auto alike = std::count_if(
        accelerators_.begin(), accelerators_.end(),
        [&](const Accelerator& other) { return widths(other) == widths(accelerator); });
    return widths(accelerator) + (alike > 1 ? " " + accelerator.name : "");
  }

  std::vector<std::string> input_files() const {
    std::vector<std::string> files = {bench_.model_file.string(), bench_.preprocessing.file,
                                      bench_.test.file,           bench_.test.labels_file,
                                      bench_.training.file,       bench_.training.labels_file};
    for (const Accelerator& accelerator : accelerators_) {
      files.push_back(accelerator.file);
      files.push_back(load_cost_table(accelerator.cost_table).file());
    }
    return files;
  }

  Json precision(const Accelerator& accelerator, const QuantizedNetwork& network) {
    const std::string name = label(accelerator);
    const Evaluation census =
        evaluate(bench_, network, accelerator, {.outermost = {}, .census = true}, name + " census",
                 progress_);
    const Evaluation described =
        evaluate(bench_, network, accelerator, {}, name + " as described", progress_);
    Json json = {
        {"name", name},
        {"accelerator", accelerator.name},
        {"accumulation", accelerator.datapath.accumulation.describe()},
        {"weight_scales", options_.per_tensor || !accelerator.datapath.weight.is_signed
                              ? "per tensor"
                              : "per channel"},
        {"activations", options_.symmetric ? "symmetric" : "asymmetric"},
        {"ranges", is_narrow(accelerator) ? "mse" : "minmax"},
        {"rounding", is_narrow(accelerator) ? "gptq" : "nearest"},
        {"bias_correction", is_narrow(accelerator)},
        {"requantize", requantize_kind_name(accelerator.datapath.requantize.kind)},
        {"network_file", accelerator.name + ".onnx"},
        {"exact", run_json(census, baseline_)},
        {"described", run_json(described, baseline_)},
        {"layers", layer_report(network, accelerator.datapath, census, kNarrowestReported)}};
    json["widths"] =
        sweep(accelerator, network, census, widest_observed_bits(json["layers"]), name);
    return json;
  }

  // Accuracy at each width. From the observed width on nothing overflows on these images, so the
  // exact run is the result; below it every width is run with both policies, until both are at
  // chance.
  Json sweep(const Accelerator& accelerator, const QuantizedNetwork& network,
             const Evaluation& census, int observed, const std::string& name) {
    const double chance = 100.0 / static_cast<double>(network.tensor(network.output).elements());
    const auto narrowest = std::max<int64_t>(kMinAccumulatorBits, observed - options_.sweep_widths);
    Json widths = Json::array();
    for (int bits = observed + 1; bits >= narrowest; --bits) {
      const bool needs_run = bits < observed;
      const auto top1 = [&](OverflowPolicy policy) {
        if (!needs_run) return census.top1_percent();
        return evaluate(bench_, network, accelerator,
                        {.outermost = RunOptions::Outermost{bits, policy}},
                        fmt::format("{} at {} bits, {}", name, bits, overflow_policy_name(policy)),
                        progress_)
            .top1_percent();
      };
      const double wrap = top1(OverflowPolicy::kWrap), saturate = top1(OverflowPolicy::kSaturate);
      widths.push_back({{"bits", bits},
                        {"wrap_top1_percent", wrap},
                        {"saturate_top1_percent", saturate},
                        {"most_hit_percent", most_hit_percent(census, network, bits)},
                        {"run", needs_run}});
      if (std::max(wrap, saturate) < kAtChance * chance) break;
    }
    return widths;
  }

  void co_simulate(const std::filesystem::path& folder) {
    for (size_t i = 0; i < accelerators_.size(); ++i) {
      const auto images = code_source(bench_.test, bench_.preprocessing,
                                      networks_[i].tensor(networks_[i].input).quantization);
      const auto rtl = folder / ("rtl-" + accelerators_[i].name);
      const bool with_fault = i + 1 == accelerators_.size();  // one is enough to see the check fail
      for (Json& run : co_simulate_network(accelerators_[i], networks_[i], images, rtl,
                                           options_.command, with_fault, progress_)) {
        match_ = match_ && run["verdict"] != "MISMATCH" && run["verdict"] != "FAULT NOT SEEN";
        result_["cosim"].push_back(std::move(run));
      }
    }
  }

  const DemoOptions& options_;
  Progress& progress_;
  Bench bench_;
  std::vector<Accelerator> accelerators_;
  std::vector<QuantizedNetwork> networks_;
  Evaluation baseline_;
  Json result_;
  bool match_ = true;
};

}  // namespace

DemoOutcome run_demo(const DemoOptions& options, Progress& progress) {
  return Demo(options, progress).run();
}

}  // namespace widthwise
