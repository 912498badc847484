#pragma once
#include <filesystem>
#include <string>

#include "models/graph.h"

namespace widthwise {

// Opsets of the default domain whose operators are known here.
inline constexpr int kMinOpset = 7;
inline constexpr int kMaxOpset = 21;

// Reads an ONNX file. Checked here: the file parses, one float input with a batch axis and one
// output, opset, domains, element types, sizes, finite weights, every value written once and before
// it is read (nodes are sorted; a cycle is an error). Throws InputError with file, node and fix.
// What the operators mean is checked by fold() and lower().
Graph load_graph(const std::filesystem::path& path);

// The same from the bytes of a file; `file` is only for messages.
Graph parse_graph(const std::string& bytes, const std::string& file);

}  // namespace widthwise
