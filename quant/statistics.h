#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace widthwise {

// Counts of values in equal bins over [low, high].
struct Histogram {
  double low = 0, high = 0;
  std::vector<int64_t> counts;
};

// What calibration saw of one tensor. A record of Distiller's statistics file has the same numbers;
// what a file leaves out is empty.
struct TensorStatistics {
  double min = 0, max = 0;
  int64_t images = 0;  // samples behind it; 0: not known
  std::optional<double> avg_min = {},
                        avg_max = {};         // means over the samples of each one's min and max
  std::optional<double> mean = {}, std = {};  // of all elements; std of the population
  std::optional<double> b = {};               // mean |x - mean|
  std::vector<int64_t> shape = {};            // of the first batch, with it; may be empty
  int64_t total_numel = 0;                    // elements behind it; 0: not known
  std::optional<Histogram> histogram = {};    // for percentile, KL and MSE ranges
};

// What is outside of the range lies at its ends. Mean, std, b and histogram stay.
inline void limit_range(double low, double high, TensorStatistics& s) {
  s.min = std::clamp(s.min, low, high);
  s.max = std::clamp(s.max, low, high);
  if (s.avg_min) s.avg_min = std::clamp(*s.avg_min, low, high);
  if (s.avg_max) s.avg_max = std::clamp(*s.avg_max, low, high);
}

// By tensor name.
using Statistics = std::map<std::string, TensorStatistics>;

// What calibration saw of one layer, as Distiller keeps it: by index of its inputs that are no
// constants.
struct LayerStatistics {
  std::map<int, TensorStatistics> inputs;
  std::optional<TensorStatistics> output;
  int position = 0;  // among the file's layers, which come in the order that the network has them
};

// By layer name (quant/module_names.h).
using NetworkStatistics = std::map<std::string, LayerStatistics>;

}  // namespace widthwise
