#pragma once
#include <filesystem>
#include <string>

#include "cli/evaluation_input.h"
#include "core/progress.h"

namespace widthwise {

// Without an accelerator: exact sums, ONNX Runtime's requantizer.
struct EvaluateRequest : EvaluationRequest {
  std::filesystem::path logits;  // .npy [images, outputs]; empty: none
  std::filesystem::path inputs;  // .npy of what the network reads; empty: none
};

// Runs a network over a data set: top-1, top-5 and loss of a labelled one, overflows at every
// multiply-accumulate node when an accelerator is given. Returns what to print.
std::string evaluate_network(const EvaluateRequest& request, Progress& progress);

}  // namespace widthwise
