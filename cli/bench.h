#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hwmodel/accelerator.h"
#include "models/dataset.h"
#include "models/model.h"
#include "models/preprocessing.h"
#include "quant/calibrate.h"
#include "quant/quantize.h"
#include "sim/evaluate.h"

namespace widthwise {

// A float network with the data it is measured on: what every verb that evaluates starts from.
struct Bench {
  std::filesystem::path model_file;
  Model model;
  Preprocessing preprocessing;
  ImageSet test, training;  // cut to the numbers of images asked for
};

// A name of models/zoo, or a path that ends in .onnx.
std::filesystem::path model_path(const std::string& name_or_path);
// A name of hwmodel/accelerators, or a path that ends in .yaml.
Accelerator accelerator_of(const std::string& name_or_path);
// Of a network that has nothing for an accelerator to run.
[[noreturn]] void refuse_accelerator(const std::filesystem::path& network);

// Of a network that is to be quantized and is so already; `what` asked for it.
void refuse_quantized(const Graph& graph, const std::string& what);
// Refuses outputs, each with its option, that cannot be written, that would replace an input, or
// that are one file; empty paths are none.
void check_files(const std::vector<std::string>& inputs,
                 const std::vector<std::pair<std::string, std::filesystem::path>>& outputs);

// Reads and checks everything before any work. images: 0 for all.
Bench load_bench(const std::string& model, const std::filesystem::path& data_folder,
                 int64_t test_images, int64_t training_images);

ImageSource float_source(const ImageSet& images, const Preprocessing& preprocessing);
// The images as codes; the arguments must outlive the source.
CodeSource code_source(const ImageSet& images, const Preprocessing& preprocessing,
                       const TensorQuantization& input);

// Widths and signs from the datapath; unsigned weights are asymmetric per tensor; power-of-two
// scales where the requantizer needs them.
QuantizationConfig quantization_config(const Accelerator& accelerator);

Evaluation evaluate_float(const Bench& bench, Progress& progress);
Evaluation evaluate(const Bench& bench, const QuantizedNetwork& network,
                    const Accelerator& accelerator, const RunOptions& options,
                    const std::string& what, Progress& progress);

}  // namespace widthwise
