#pragma once
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace widthwise {

// What one run of bench/run left in its folder: medians of repetitions, of threads the least.
struct Measurements {
  std::map<std::string, double> gmac_per_second;  // "<layer>/<data>/<path>"
  std::map<std::string, double> seconds;          // "<network>/<path>/<variant>"
  std::vector<nlohmann::ordered_json> memory;     // of network_memory
};

// kernels.json, network.json and threads.json of Google Benchmark, torch.json of
// torch_emulation.py, memory_<path>.json; files that are missing or empty count for nothing.
Measurements read_measurements(const std::filesystem::path& folder);

std::optional<double> find(const std::map<std::string, double>& values, const std::string& name);

}  // namespace widthwise
