#include "bench/measurements.h"

#include <fstream>

namespace widthwise {
namespace {

using Json = nlohmann::ordered_json;

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file || file.peek() == std::ifstream::traits_type::eof()) return Json::object();
  return Json::parse(file);
}

}  // namespace

Measurements read_measurements(const std::filesystem::path& folder) {
  Measurements made;
  constexpr std::pair<const char*, const char*> kStatistics[] = {
      {"kernels.json", "median"}, {"network.json", "median"}, {"threads.json", "least"}};
  for (const auto& [name, statistic] : kStatistics) {
    for (const Json& run : read_json(folder / name).value("benchmarks", Json::array())) {
      if (run.value("aggregate_name", "") != statistic || run.contains("error_occurred")) continue;
      const auto at = run.at("run_name").get<std::string>();
      if (run.contains("GMAC/s")) made.gmac_per_second[at] = run.at("GMAC/s").get<double>();
      if (run.contains("seconds")) made.seconds[at] = run.at("seconds").get<double>();
    }
  }
  const Json torch = read_json(folder / "torch.json");
  for (const auto& [name, rate] : torch.items()) made.gmac_per_second[name] = rate.get<double>();
  for (const char* name : {"memory_exact.json", "memory_census_chain.json"}) {
    if (const Json steps = read_json(folder / name); !steps.empty()) made.memory.push_back(steps);
  }
  return made;
}

std::optional<double> find(const std::map<std::string, double>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace widthwise
