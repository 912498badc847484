#pragma once
#include <filesystem>
#include <string>

#include "models/graph.h"

namespace widthwise {

// Opsets of the default domain whose operators are known here.
inline constexpr int kMinOpset = 7;
inline constexpr int kMaxOpset = 25;

// Reads an ONNX file, with external data from files below its folder. Checked here: the file
// parses, opset, domains, element types, sizes, finite weights, every value written once and before
// it is read (nodes are sorted; a cycle is an error). Throws InputError with file, node and fix.
// What the operators mean is checked when they are folded, lowered or run.
Graph load_graph(const std::filesystem::path& path);

// The same from the bytes of a file; `file` is only for messages.
Graph parse_graph(const std::string& bytes, const std::string& file);

}  // namespace widthwise
