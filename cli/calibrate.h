#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/progress.h"
#include "models/dataset.h"
#include "quant/linear_quantization.h"

namespace widthwise {

// What ranges are measured on.
struct CalibrationData {
  std::string data, labels;                // see models/dataset.h
  std::optional<std::string> subset;       // of an IDX folder; without: train
  std::filesystem::path preprocessing;     // empty: <network>.yaml
  std::optional<int64_t> images;           // 0: all
  std::optional<double> fraction;          // --qe-calibration: of all images, > 0, <= 1
  const char* images_option = "--images";  // for messages
};

// The inputs, spread over data that lies class by class, else the first ones. `otherwise`: images
// where neither number is given. Throws InputError for both numbers, and for too many or none.
std::unique_ptr<DataSet> open_calibration_data(const CalibrationData& data,
                                               const std::filesystem::path& network_file,
                                               const NetworkEnds& network, int64_t otherwise);

struct CalibrateRequest : CalibrationData {
  std::string network;
  int64_t batch = 128;
  int histogram_bins = 0;
  std::string compat = "none";
  std::filesystem::path out;  // .yaml
};

// Collects the statistics of a float network's layers and writes them as Distiller's YAML. Returns
// what to print.
std::string calibrate_network(const CalibrateRequest& request, Progress& progress);

// "none", "distiller-0.3", "distiller-0.4"; refuses others.
Compat compat_of(const std::string& name);

}  // namespace widthwise
