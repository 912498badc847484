#pragma once
#include <optional>

#include "models/graph.h"

namespace widthwise {

// A Clip of codes to constant integers, as QCDQ says how many bits they have.
struct CodeClip {
  int64_t low, high;
  IntegerFormat format;  // the narrowest that holds both; -high .. high is the narrow signed range
};

// Nothing for other nodes and for more than 16 bits.
std::optional<CodeClip> code_clip(const Graph& graph, const GraphNode& node);

}  // namespace widthwise
