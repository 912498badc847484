#include "cli/quantize.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/bench.h"
#include "core/error.h"
#include "core/files.h"
#include "models/dataset.h"
#include "quant/onnx_writer.h"

namespace widthwise {
namespace {

// The classes lie one after the other, as in a folder of images: the first ones are of one class.
bool class_by_class(const DataSet& data) {
  return std::is_sorted(data.labels().begin(), data.labels().end());
}

}  // namespace

std::string quantize_network(const QuantizeRequest& request, Progress& progress) {
  if (request.format != "qcdq" && request.format != "qonnx") {
    throw InputError({.file = "",
                      .where = "",
                      .field = "--format",
                      .problem = "is '" + request.format + "', allowed qcdq, qonnx",
                      .fix = "qcdq runs in ONNX Runtime; qonnx is for FINN and hls4ml"});
  }
  const auto file = model_path(request.network);
  const Model model = load_network(file);
  const Accelerator accelerator = accelerator_of(request.accelerator);
  const Preprocessing preprocessing = load_preprocessing(
      request.preprocessing.empty() ? preprocessing_path(file) : request.preprocessing);
  auto all =
      open_data_set({.path = request.data, .subset = request.subset}, preprocessing, model.network);
  const Take take = class_by_class(*all) ? Take::kSpread : Take::kFirst;
  const auto data = take_inputs(std::move(all), request.images, take, "--images");
  QuantizationConfig config = quantization_config(accelerator);
  if (request.per_tensor) config.per_channel = false;
  if (request.symmetric) config.activations = Symmetry::kSymmetric;
  progress.begin("calibration", data->count(), "images");
  const Statistics statistics = calibrate(
      model.network,
      [&](int64_t first, int64_t count, std::span<float> values) {
        data->read(first, count, values);
      },
      data->count(), progress);
  progress.end();
  const QuantizedNetwork network = quantize(model.network, statistics, config);
  const bool qonnx = request.format == "qonnx";
  write_file(request.out, write_quantized(model.graph, network,
                                          qonnx ? QuantizedFile::kQonnx : QuantizedFile::kQcdq));
  return fmt::format("{}: {} layers quantized over {} inputs, written to {}\n", network.name,
                     network.layers.size(), data->count(), request.out.string());
}

}  // namespace widthwise
