#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "cli/evaluation_input.h"
#include "cli/ptq_request.h"
#include "core/progress.h"

namespace widthwise {

// Without an accelerator: exact sums, ONNX Runtime's requantizer.
struct EvaluateRequest : EvaluationRequest {
  std::filesystem::path logits;  // .npy [images, outputs]; empty: none
  std::filesystem::path inputs;  // .npy of what the network reads; empty: none
  int64_t batch = 256;           // images: of a line, and of dynamic ranges
  int64_t print_freq = 0;        // batches from line to line; 0: no lines
  std::function<void(const std::string& text)> print;  // of lines as they come; may be empty
  bool quantize_eval = false;                          // quantize as `ptq` says, then evaluate
  PtqRequest ptq;
};

// Runs a network over a data set: top-1, top-5 and loss of a labelled one, overflows at every
// multiply-accumulate node when an accelerator is given. Returns what to print.
std::string evaluate_network(const EvaluateRequest& request, Progress& progress);

}  // namespace widthwise
