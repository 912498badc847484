// Time of calibrating, quantizing and evaluating in Distiller's arithmetic, on both cores, beside a
// float evaluation of the same images, in turns. Counters: "seconds" of the step and
// "times_float", its ratio to the peer's.
//   quantizer_bench [options of Google Benchmark] [<network>.onnx <data> <preprocessing>.yaml]
// Without a network: resnet8 of models/zoo on Fashion-MNIST. The first 500 images are calibrated
// on, the first 1000 are evaluated (fewer, if there are fewer); their classes do not matter.
#include <fmt/format.h>

#include <chrono>
#include <functional>

#include "bench/run_benchmarks.h"
#include "core/error.h"
#include "core/files.h"
#include "models/dataset.h"
#include "models/fold.h"
#include "models/lowering.h"
#include "models/onnx_import.h"
#include "quant/collector.h"
#include "quant/distiller_network.h"
#include "quant/module_network.h"
#include "quant/ptq_modules.h"
#include "quant/quantize_calibrated.h"
#include "sim/distiller_runner.h"
#include "sim/evaluate.h"

namespace widthwise {
namespace {

constexpr int64_t kCalibrated = 500, kEvaluated = 1000;

struct Setting {
  std::string network, data, preprocessing;
  ModuleNetwork modules;
  FloatNetwork fused;
  std::unique_ptr<DataSet> calibration, evaluation;

  void load() {
    const Graph graph = fold(load_graph(network));
    modules = module_network(graph);
    fused = lower(graph);
    const auto open = [&](int64_t images) {
      auto all = open_data_set({.path = data}, load_preprocessing(preprocessing), fused);
      const int64_t count = std::min(images, all->count());
      return take_inputs(std::move(all), count, Take::kFirst, "images");
    };
    calibration = open(kCalibrated);
    evaluation = open(kEvaluated);
  }
};

Setting& setting() {
  static Setting made;
  return made;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Both once per iteration, one after the other.
void run_beside_float(benchmark::State& state, const DataSet& data,
                      const std::function<void()>& step) {
  double own = 0, peer = 0;
  for (auto _ : state) {
    peer += seconds_of([&] {
      benchmark::DoNotOptimize(
          evaluate_float(setting().fused, image_source(data), data.count(), {}, Progress::none()));
    });
    const double time = seconds_of(step);
    own += time;
    state.SetIterationTime(time);
  }
  state.counters["seconds"] = own / static_cast<double>(state.iterations());
  state.counters["times_float"] = own / peer;
  state.counters["images"] = static_cast<double>(data.count());
}

NetworkStatistics statistics(int bins) {
  return collect_statistics(setting().modules.network, setting().modules.modules,
                            image_source(*setting().calibration), setting().calibration->count(),
                            {.histogram_bins = bins}, Progress::none());
}

void statistics_bench(benchmark::State& state, int bins) {
  run_beside_float(state, *setting().calibration, [&] { statistics(bins); });
}

void evaluation_bench(benchmark::State& state, Compat compat, int accumulator_bits) {
  PtqOptions options;
  options.per_channel = true;
  options.bits_accum = accumulator_bits;
  const ModuleNetwork& network = setting().modules;
  const NetworkStatistics found = statistics(0);
  const DistillerNetwork quantized = quantize_as_distiller(
      network.network, network.modules, resolve_modules(options, network, compat, "").settings(),
      &found, compat);
  const DistillerRunner runner(quantized, 256);
  run_beside_float(state, *setting().evaluation, [&] {
    std::vector<ClippingCounts> counts;
    benchmark::DoNotOptimize(
        evaluate_distiller(runner, *setting().evaluation, counts, Progress::none()));
  });
}

void method_bench(benchmark::State& state, const QuantizationConfig& config) {
  run_beside_float(state, *setting().calibration, [&] {
    benchmark::DoNotOptimize(
        quantize_calibrated(setting().fused, image_source(*setting().calibration),
                            setting().calibration->count(), config, Progress::none()));
  });
}

void add(const std::string& name, const std::function<void(benchmark::State&)>& run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->Unit(benchmark::kMillisecond)->UseManualTime();
}

void register_all() {
  add("statistics", [](auto& s) { statistics_bench(s, 0); });
  add("statistics/histograms", [](auto& s) { statistics_bench(s, kHistogramBins); });
  add("evaluation/none", [](auto& s) { evaluation_bench(s, Compat::kNone, 32); });
  add("evaluation/none/accumulator_16", [](auto& s) { evaluation_bench(s, Compat::kNone, 16); });
  add("evaluation/distiller-0.4", [](auto& s) { evaluation_bench(s, Compat::kDistiller04, 32); });
  add("evaluation/distiller-0.3", [](auto& s) { evaluation_bench(s, Compat::kDistiller03, 32); });

  const QuantizationConfig few_bits = calibrated_config({4, false}, {4, true});
  QuantizationConfig plain;
  plain.ifmap.bits = plain.weight.bits = 4;
  plain.elementwise_bits = 8;
  add("quantize/minmax", [=](auto& s) { method_bench(s, plain); });
  for (const auto& [name, clipping] :
       {std::pair("gauss", Clipping::kGauss), std::pair("laplace", Clipping::kLaplace),
        std::pair("percentile", Clipping::kPercentile), std::pair("kl", Clipping::kKl),
        std::pair("mse", Clipping::kMse)}) {
    QuantizationConfig config = plain;
    config.activation_range.clipping = clipping;
    add(fmt::format("quantize/{}", name), [=](auto& s) { method_bench(s, config); });
  }
  QuantizationConfig corrected = plain, rounded = plain, equalized = plain;
  corrected.bias_correction = true;
  rounded.rounding = WeightRounding::kGptq;
  equalized.equalization = true;
  add("quantize/bias_correction", [=](auto& s) { method_bench(s, corrected); });
  add("quantize/equalization", [=](auto& s) { method_bench(s, equalized); });
  add("quantize/gptq", [=](auto& s) { method_bench(s, rounded); });
  add("quantize/few_bits", [=](auto& s) { method_bench(s, few_bits); });
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  using namespace widthwise;
  benchmark::Initialize(&argc, argv);
  if (argc != 1 && argc != 4) {
    fmt::print(stderr,
               "usage: quantizer_bench [--benchmark_...] [<network>.onnx <data> "
               "<preprocessing>.yaml]\n");
    return 1;
  }
  try {
    const auto zoo = share_folder() / "models" / "zoo";
    setting().network = argc == 4 ? argv[1] : (zoo / "resnet8.onnx").string();
    setting().data = argc == 4 ? argv[2] : "/usr/share/datasets/fashion-mnist";
    setting().preprocessing = argc == 4 ? argv[3] : (zoo / "resnet8.yaml").string();
    setting().load();
  } catch (const InputError& error) {
    fmt::print(stderr, "quantizer_bench: {}\n", error.what());
    return 1;
  }
  register_all();
  benchmark::RunSpecifiedBenchmarks();
}
