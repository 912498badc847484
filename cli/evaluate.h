#pragma once
#include <filesystem>
#include <string>

#include "core/progress.h"

namespace widthwise {

struct EvaluateRequest {
  std::string command;  // as typed, for the result
  std::string network;
  std::string data, labels;             // see models/dataset.h; labels may be empty
  std::string subset = "t10k";          // of an IDX folder
  std::filesystem::path preprocessing;  // empty: <network>.yaml
  std::string accelerator;              // empty: exact sums, ONNX Runtime's requantizer
  int64_t images = 0;                   // 0: all
  std::filesystem::path out;            // JSON; empty: none
  std::filesystem::path logits;         // .npy [images, outputs]; empty: none
  std::filesystem::path inputs;         // .npy of what the network reads; empty: none
  bool json = false;
};

// Runs a network over a data set: top-1, top-5 and loss of a labelled one, overflows at every
// multiply-accumulate node when an accelerator is given. Returns what to print.
std::string evaluate_network(const EvaluateRequest& request, Progress& progress);

}  // namespace widthwise
