#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace widthwise {

// What calibration saw of one tensor.
struct TensorStatistics {
  float min = 0, max = 0;
  int64_t images = 0;  // samples behind it
};

// By tensor name.
using Statistics = std::map<std::string, TensorStatistics>;

}  // namespace widthwise
