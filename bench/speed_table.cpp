// Ratios to the peer from what Google Benchmark wrote of kernels_bench.cpp (medians of interleaved
// repetitions), as a table and as JSON: speed_table BENCHMARK.json [OUT.json]
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "core/files.h"
#include "reports/text_table.h"

namespace widthwise {
namespace {

using Json = nlohmann::ordered_json;

struct Row {
  const char *path, *peer;
  std::optional<double> relu, dense;  // ratio to reach on every convolution
};
const Row kRows[] = {
    {"exact_sums", "onednn_sums", 0.95, 0.95},
    {"wrap_codes", "onednn_codes", 0.95, 0.95},
    {"census_chain", "onednn_sums", 0.30, 0.15},
    {"census_tree16", "onednn_sums", 0.80, 0.80},
    {"census_tree8", "onednn_sums", 0.68, 0.68},
    {"census_tree4", "onednn_sums", 0.55, 0.55},
    {"saturate20_chain", "onednn_sums", 0.45, 0.26},
    {"saturate16_chain", "onednn_sums", 0.45, 0.26},
    {"saturate12_chain", "onednn_sums", 0.45, 0.26},
    {"saturate20_tree16", "onednn_sums", 0.87, 0.87},
    {"saturate20_tree8", "onednn_sums", 0.75, 0.75},
    {"saturate20_tree4", "onednn_sums", 0.58, 0.58},
    {"saturate16_tree16", "onednn_sums", 0.87, 0.87},
    {"saturate16_tree8", "onednn_sums", 0.75, 0.75},
    {"saturate16_tree4", "onednn_sums", 0.58, 0.58},
};

// GMAC/s by layer, data and path.
struct Speeds {
  std::vector<std::string> layers;  // as the benchmark has them; the file's order is random
  std::map<std::string, double> gmac_per_second;  // "<layer>/<data>/<path>"
};

Speeds read_speeds(const char* path) {
  Speeds speeds;
  std::ifstream file(path);
  const Json all = Json::parse(file);
  std::map<int64_t, std::string> layers;  // by the first of its benchmarks
  for (const Json& run : all.at("benchmarks")) {
    if (run.value("aggregate_name", "") != "median" || run.contains("error_occurred")) continue;
    const auto name = run.at("run_name").get<std::string>();
    const std::string layer = name.substr(0, name.find('/'));
    layers[run.at("family_index").get<int64_t>()] = layer;
    speeds.gmac_per_second[name] = run.at("GMAC/s").get<double>();
  }
  for (const auto& [family, layer] : layers) {
    if (speeds.layers.empty() || speeds.layers.back() != layer) speeds.layers.push_back(layer);
  }
  return speeds;
}

std::string ratio_text(const Json& ratio) {
  return ratio.is_null() ? "-" : fmt::format("{:.2f}", ratio.get<double>());
}

int run(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "speed_table: BENCHMARK.json [OUT.json]\n");
    return 1;
  }
  const Speeds speeds = read_speeds(argv[1]);
  Json result;
  const auto known = [&](const std::string& data) {
    return std::any_of(
        speeds.gmac_per_second.begin(), speeds.gmac_per_second.end(),
        [&](const auto& one) { return one.first.find("/" + data + "/") != std::string::npos; });
  };
  for (const std::string data : {"relu", "dense"}) {
    if (!known(data)) continue;
    std::vector<std::string> head = {data, "peer"};
    head.insert(head.end(), speeds.layers.begin(), speeds.layers.end());
    head.insert(head.end(), {"geometric mean", "to reach"});
    TextTable table(head);
    for (const char* peer : {"onednn_sums", "onednn_codes"}) {
      std::vector<std::string> cells = {std::string(peer) + ", GMAC/s", ""};
      for (const std::string& layer : speeds.layers) {
        const auto found = speeds.gmac_per_second.find(fmt::format("{}/{}/{}", layer, data, peer));
        const bool measured = found != speeds.gmac_per_second.end();
        cells.push_back(measured ? fmt::format("{:.0f}", found->second) : "-");
        if (measured) result["peers_gmac_per_second"][data][peer][layer] = found->second;
      }
      cells.resize(head.size());
      table.add(cells);
    }
    for (const Row& row : kRows) {
      Json ratios;
      double logarithms = 0;
      int64_t count = 0;
      for (const std::string& layer : speeds.layers) {
        const auto own =
            speeds.gmac_per_second.find(fmt::format("{}/{}/{}", layer, data, row.path));
        const auto peer =
            speeds.gmac_per_second.find(fmt::format("{}/{}/{}", layer, data, row.peer));
        if (own == speeds.gmac_per_second.end() || peer == speeds.gmac_per_second.end()) continue;
        ratios[layer] = own->second / peer->second;
        logarithms += std::log(own->second / peer->second);
        ++count;
      }
      if (count == 0) continue;
      const double mean = std::exp(logarithms / static_cast<double>(count));
      const auto to_reach = data == "relu" ? row.relu : row.dense;
      std::vector<std::string> cells = {row.path, row.peer};
      for (const std::string& layer : speeds.layers)
        cells.push_back(ratios.contains(layer) ? ratio_text(ratios[layer]) : "-");
      cells.push_back(fmt::format("{:.2f}", mean));
      cells.push_back(to_reach ? fmt::format("{:.2f}", *to_reach) : "");
      table.add(cells);
      result["ratios"][data].push_back({{"path", row.path},
                                        {"peer", row.peer},
                                        {"by_layer", ratios},
                                        {"geometric_mean", mean},
                                        {"to_reach", to_reach ? Json(*to_reach) : Json(nullptr)}});
    }
    fmt::print("{}\n", table.text());
  }
  if (argc == 3) write_file(argv[2], result.dump(2) + "\n");
  return 0;
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  try {
    return widthwise::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "speed_table: {}\n", error.what());
    return 1;
  }
}
