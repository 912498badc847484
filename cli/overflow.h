#pragma once
#include <string>

#include "cli/evaluation_input.h"
#include "core/progress.h"

namespace widthwise {

// The accelerator must be given, the network be quantized.
struct OverflowRequest : EvaluationRequest {
  bool per_channel = false;  // every output channel by itself in the JSON
};

// The overflow census of a quantized network over a data set: what every layer's accumulator would
// do at each width, from one pass with exact sums. Returns what to print.
std::string overflow_census(const OverflowRequest& request, Progress& progress);

}  // namespace widthwise
