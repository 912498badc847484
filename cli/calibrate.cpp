#include "cli/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "cli/bench.h"
#include "cli/refuse_option.h"
#include "core/files.h"
#include "models/onnx_import.h"
#include "quant/collector.h"
#include "quant/module_network.h"
#include "quant/statistics_yaml.h"

namespace widthwise {
namespace {

// The classes lie one after the other, as in a folder of images: the first ones are of one class.
bool class_by_class(const DataSet& data) {
  return std::is_sorted(data.labels().begin(), data.labels().end());
}

}  // namespace

Compat compat_of(const std::string& name) {
  if (name == "none") return Compat::kNone;
  if (name == "distiller-0.3") return Compat::kDistiller03;
  if (name == "distiller-0.4") return Compat::kDistiller04;
  refuse_option("--compat", "is '" + name + "', allowed none, distiller-0.3, distiller-0.4",
                "name one of these; none is the default");
}

std::unique_ptr<DataSet> open_calibration_data(const CalibrationData& data,
                                               const std::filesystem::path& network_file,
                                               const NetworkEnds& network, int64_t otherwise) {
  if (data.images && data.fraction)
    refuse_option(std::string(data.images_option) + ", --qe-calibration", "are both given",
                  "keep one of them");
  if (data.fraction && !(*data.fraction > 0 && *data.fraction <= 1))
    refuse_option("--qe-calibration",
                  fmt::format("is {}, allowed above 0, up to 1", *data.fraction),
                  "give the part of the images that ranges are measured on, such as 0.05");
  const Preprocessing preprocessing = load_preprocessing(
      data.preprocessing.empty() ? preprocessing_path(network_file) : data.preprocessing);
  auto all = open_data_set(
      {.path = data.data, .labels = data.labels, .subset = data.subset, .usual_subset = "train"},
      preprocessing, network);
  int64_t images = data.images.value_or(std::min(otherwise, all->count()));
  if (data.fraction) {
    images = static_cast<int64_t>(std::floor(*data.fraction * static_cast<double>(all->count())));
    if (images == 0)
      refuse_option("--qe-calibration",
                    fmt::format("is {} of {} images, which is none", *data.fraction, all->count()),
                    "take a larger part");
  }
  const Take take = class_by_class(*all) ? Take::kSpread : Take::kFirst;
  return take_inputs(std::move(all), images, take, data.images_option);
}

std::string calibrate_network(const CalibrateRequest& request, Progress& progress) {
  const auto started = std::chrono::steady_clock::now();
  if (request.batch < 1) refuse_option("--batch-size", "must be positive", "128 is Distiller's");
  constexpr int kMostBins = 1 << 16;
  if (request.histogram_bins != 0 &&
      (request.histogram_bins < 2 || request.histogram_bins > kMostBins))
    refuse_option(
        "--histogram-bins",
        fmt::format("is {}, allowed 2..{}, or 0 for none", request.histogram_bins, kMostBins),
        "2048 is usual");
  const Compat compat = compat_of(request.compat);
  const auto file = model_path(request.network);
  check_files({file.string(), request.data, request.labels, request.preprocessing.string()},
              {{"--out", request.out}});
  const Graph graph = load_graph(file);
  refuse_quantized(graph, "calibrate");
  const ModuleNetwork model = module_network(fold_for(graph, compat));
  const auto data = open_calibration_data(request, file, model.network, 1024);
  progress.begin("statistics", 2 * data->count(), "images");
  const NetworkStatistics statistics = collect_statistics(
      model.network, model.modules, image_source(*data), data->count(),
      {.batch = request.batch, .compat = compat, .histogram_bins = request.histogram_bins},
      progress);
  progress.end();
  write_file(request.out, statistics_yaml(statistics));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return fmt::format("{}: statistics of {} layers over {} inputs in {:.2f} s, written to {}\n",
                     model.network.name, statistics.size(), data->count(), seconds,
                     request.out.string());
}

}  // namespace widthwise
