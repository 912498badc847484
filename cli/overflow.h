#pragma once
#include <filesystem>
#include <string>

#include "core/progress.h"

namespace widthwise {

struct OverflowRequest {
  std::string command;  // as typed, for the result
  std::string network;  // quantized
  std::string accelerator;
  std::string data, labels;             // see models/dataset.h; labels may be empty
  std::string subset = "t10k";          // of an IDX folder
  std::filesystem::path preprocessing;  // empty: <network>.yaml
  int64_t images = 0;                   // 0: all
  bool per_channel = false;             // every output channel by itself in the JSON
  std::filesystem::path out;            // JSON; empty: none
  bool json = false;
};

// The overflow census of a quantized network over a data set: what every layer's accumulator would
// do at each width, from one pass with exact sums. Returns what to print.
std::string overflow_census(const OverflowRequest& request, Progress& progress);

}  // namespace widthwise
