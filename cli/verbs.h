#pragma once
#include <filesystem>
#include <string>

namespace widthwise {

// `widthwise inspect`: the layers of a float network, or the nodes of a quantized one or of one
// that has no layers, as a table or as JSON.
std::string inspect(const std::string& model, bool json);

// `widthwise generate`: the Verilog of an accelerator's array, with made-up vectors for its test
// bench, into a folder that appears whole or not at all. Returns what to print.
std::string generate(const std::string& accelerator, const std::filesystem::path& out,
                     const std::string& command);

}  // namespace widthwise
