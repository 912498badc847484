#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace widthwise {

// Names of the shipped YAML files of hwmodel/<folder>, sorted, without ".yaml": "accelerators",
// "tables".
std::vector<std::string> shipped_names(const std::string& folder);

// hwmodel/<folder>/<name>.yaml, whether or not it exists.
std::filesystem::path shipped_path(const std::string& folder, const std::string& name);

}  // namespace widthwise
