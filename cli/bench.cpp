#include "cli/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/files.h"
#include "hwmodel/shipped.h"
#include "models/fuse.h"
#include "quant/quantized_import.h"

namespace widthwise {
namespace {

void keep_first(ImageSet& images, int64_t count, const std::string& option) {
  if (count == 0) return;
  if (count < 0 || count > images.count) {
    throw InputError({.file = images.file,
                      .where = "",
                      .field = option,
                      .problem = fmt::format("is {}, allowed 1..{}", count, images.count),
                      .fix = "ask for at most as many images as there are"});
  }
  images.count = count;
  images.pixels.resize(static_cast<size_t>(count * images.image_elements()));
  images.labels.resize(static_cast<size_t>(count));
}

bool has_extension(const std::string& text, const char* extension) {
  return std::filesystem::path(text).extension() == extension;
}

}  // namespace

std::filesystem::path model_path(const std::string& name_or_path) {
  if (has_extension(name_or_path, ".onnx")) return name_or_path;
  const auto folder = share_folder() / "models" / "zoo";
  const auto path = folder / (name_or_path + ".onnx");
  if (std::filesystem::exists(path)) return path;
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".onnx") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  throw InputError({.file = "",
                    .where = "",
                    .field = "network",
                    .problem = "'" + name_or_path + "' is not shipped; known: " + list_names(names),
                    .fix = "name one of these, or a file that ends in .onnx"});
}

Accelerator accelerator_of(const std::string& name_or_path) {
  if (has_extension(name_or_path, ".yaml")) return load_accelerator(name_or_path);
  const auto names = shipped_names("accelerators");
  if (std::find(names.begin(), names.end(), name_or_path) == names.end()) {
    throw InputError(
        {.file = "",
         .where = "",
         .field = "accelerator",
         .problem = "'" + name_or_path + "' is not shipped; known: " + list_names(names),
         .fix = "name one of these, or a file that ends in .yaml"});
  }
  return load_accelerator(shipped_path("accelerators", name_or_path));
}

void refuse_accelerator(const std::filesystem::path& network) {
  throw InputError({.file = network.string(),
                    .where = "",
                    .field = "--accelerator",
                    .problem = "is given, but the network is not quantized",
                    .fix = "quantize it first: widthwise quantize"});
}

void refuse_quantized(const Graph& graph, const std::string& what) {
  if (!is_quantized(fuse(graph, FuseFor::kFile))) return;
  throw InputError({.file = graph.file,
                    .where = "",
                    .field = what,
                    .problem = "needs a float network, and this one is quantized already",
                    .fix = "name the network that it came from; this one runs as it is: widthwise "
                           "evaluate"});
}

void check_files(const std::vector<std::string>& inputs,
                 const std::vector<std::pair<std::string, std::filesystem::path>>& outputs) {
  const auto place = [](const std::filesystem::path& path) {
    std::error_code error;
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  };
  const auto refuse = [](const std::string& option, const std::filesystem::path& path,
                         const std::string& problem) {
    throw InputError({.file = "",
                      .where = "",
                      .field = option,
                      .problem = "is " + path.string() + ", " + problem,
                      .fix = "give it a name of its own"});
  };
  std::map<std::filesystem::path, std::string> taken;
  for (const auto& [option, path] : outputs) {
    if (path.empty()) continue;
    for (const std::string& input : inputs) {
      if (!input.empty() && place(input) == place(path))
        refuse(option, path, "which is read, and would be lost");
    }
    const auto [other, fresh] = taken.emplace(place(path), option);
    if (!fresh) refuse(option, path, "as " + other->second + " is");
    check_writable(path);
  }
}

Bench load_bench(const std::string& model, const std::filesystem::path& data_folder,
                 int64_t test_images, int64_t training_images) {
  Bench bench;
  bench.model_file = model_path(model);
  bench.model = load_network(bench.model_file);
  bench.preprocessing = load_preprocessing(preprocessing_path(bench.model_file));
  if (bench.preprocessing.changes_size()) {
    throw InputError(
        {.file = bench.preprocessing.file,
         .where = "",
         .field = "input.resize, input.center_crop",
         .problem = "change the images' size, which the demo does not",
         .fix = "run the steps by themselves: widthwise quantize, widthwise evaluate"});
  }
  bench.test = load_idx_set(data_folder, "t10k");
  bench.training = load_idx_set(data_folder, "train");
  keep_first(bench.test, test_images, "--images");
  keep_first(bench.training, training_images, "--calibration-images");
  for (const ImageSet* images : {&bench.test, &bench.training}) {
    check_images(*images, bench.preprocessing, bench.model.network);
  }
  return bench;
}

ImageSource float_source(const ImageSet& images, const Preprocessing& preprocessing) {
  return [&images, &preprocessing](int64_t first, int64_t count, std::span<float> values) {
    preprocess(images, preprocessing, first, count, values);
  };
}

CodeSource code_source(const ImageSet& images, const Preprocessing& preprocessing,
                       const TensorQuantization& input) {
  const auto fill = [&images, &preprocessing, &input](int64_t first, int64_t count,
                                                      int32_t* codes) {
    std::vector<float> values(static_cast<size_t>(count * images.image_elements()));
    preprocess(images, preprocessing, first, count, values);
    std::transform(values.begin(), values.end(), codes,
                   [&](float value) { return quantize_value(value, input); });
  };
  return {.fill = fill, .labels = images.labels};
}

QuantizationConfig quantization_config(const Accelerator& accelerator) {
  const Datapath& datapath = accelerator.datapath;
  QuantizationConfig config;
  config.ifmap = datapath.ifmap;
  config.weight = datapath.weight;
  // Unsigned weights need a zero point, and zero points by channel are run by no QLinearConv.
  config.weights = datapath.weight.is_signed ? Symmetry::kSymmetric : Symmetry::kAsymmetric;
  config.per_channel = datapath.weight.is_signed;
  config.power_of_two_scales = datapath.requantize.kind == RequantizeConfig::Kind::kPowerOfTwo;
  for (const auto& [name, layer] : datapath.layers) {
    config.layers[name] = {.ifmap = layer.ifmap_bits, .weight = layer.weight_bits};
  }
  return config;
}

Evaluation evaluate_float(const Bench& bench, Progress& progress) {
  progress.begin("FP32", bench.test.count, "images");
  Evaluation evaluation =
      evaluate_float(bench.model.network, float_source(bench.test, bench.preprocessing),
                     bench.test.count, bench.test.labels, progress);
  progress.end();
  return evaluation;
}

Evaluation evaluate(const Bench& bench, const QuantizedNetwork& network,
                    const Accelerator& accelerator, const RunOptions& options,
                    const std::string& what, Progress& progress) {
  const Simulator simulator(network, accelerator.datapath, options);
  progress.begin(what, bench.test.count, "images");
  Evaluation evaluation = evaluate(
      simulator,
      code_source(bench.test, bench.preprocessing, network.tensor(network.input).quantization),
      progress);
  progress.end();
  return evaluation;
}

}  // namespace widthwise
