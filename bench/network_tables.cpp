#include "bench/network_tables.h"

#include <fmt/format.h>

namespace widthwise {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMostPeakMib = 64;

// Names of benchmarks.
struct Row {
  const char *what, *peer;
  // kAtMost: of the first one's time to the peer's. kAtLeast: of the peer's to the first one's.
  enum class Limit { kAtMost, kAtLeast } limit;
  double to_reach;
};
using enum Row::Limit;
constexpr Row kRows[] = {
    {"resnet18_at224/exact/images_1", "resnet18_at224/onednn_codes", kAtMost, 1.2},
    {"resnet18_at224/census_chain/images_1", "resnet18_at224/onednn_codes", kAtMost, 4},
    {"resnet18_at224/exact/images_16", "resnet18_at224/exact/images_1", kAtMost, 17},
    {"resnet18_at224/census_chain/images_16", "resnet18_at224/census_chain/images_1", kAtMost, 17},
    {"resnet18_at224/saturate16_chain/images_16", "resnet18_at224/saturate16_chain/images_1",
     kAtMost, 17},
    {"resnet18_at224/census_chain/images_1/widths_25",
     "resnet18_at224/census_chain/images_1/widths_1", kAtMost, 1.05},
    {"resnet18_at224/census_chain/images_16/widths_25",
     "resnet18_at224/census_chain/images_16/widths_1", kAtMost, 1.05},
    {"resnet18_at112/exact/threads_2/real_time", "resnet18_at112/exact/threads_1/real_time",
     kAtLeast, 1.85},
    {"resnet18_at112/census_chain/threads_2/real_time",
     "resnet18_at112/census_chain/threads_1/real_time", kAtLeast, 1.85},
    {"resnet18_at112/saturate16_chain/threads_2/real_time",
     "resnet18_at112/saturate16_chain/threads_1/real_time", kAtLeast, 1.85},
    {"spin/threads_2/real_time", "spin/threads_1/real_time", kAtLeast, 1.85},
};

std::string reached_text(bool reached) { return reached ? "yes" : "no"; }

}  // namespace

std::optional<TextTable> network_table(const Measurements& measured, Json& result) {
  TextTable table({"network", "ms", "peer", "peer's ms", "ratio", "to reach", "reached"});
  for (const Row& row : kRows) {
    const auto own = find(measured.seconds, row.what), peer = find(measured.seconds, row.peer);
    if (!own || !peer) continue;
    const bool at_most = row.limit == kAtMost;
    const double ratio = at_most ? *own / *peer : *peer / *own;
    const bool reached = at_most ? ratio <= row.to_reach : ratio >= row.to_reach;
    table.add({row.what, fmt::format("{:.2f}", 1e3 * *own), row.peer,
               fmt::format("{:.2f}", 1e3 * *peer), fmt::format("{:.3f}", ratio),
               fmt::format("{} {}", at_most ? "<=" : ">=", row.to_reach), reached_text(reached)});
    result["networks"].push_back({{"path", row.what},
                                  {"seconds", *own},
                                  {"peer", row.peer},
                                  {"peer_seconds", *peer},
                                  {"ratio", ratio},
                                  {at_most ? "at_most" : "at_least", row.to_reach},
                                  {"reached", reached}});
  }
  return table.rows().size() > 1 ? std::optional(table) : std::nullopt;
}

std::optional<TextTable> memory_table(const Measurements& measured, Json& result) {
  TextTable table(
      {"memory, MiB", "program", "network", "packed", "run", "peak", "to reach", "reached"});
  for (const Json& steps : measured.memory) {
    const auto mib = [&](const char* step) {
      return fmt::format("{:.1f}", steps.at(step).get<double>());
    };
    const bool reached = steps.at("peak_mib").get<double>() <= kMostPeakMib;
    table.add({fmt::format("{}/{}", steps.at("network").get<std::string>(),
                           steps.at("path").get<std::string>()),
               mib("program_mib"), mib("network_mib"), mib("packed_mib"), mib("run_mib"),
               mib("peak_mib"), fmt::format("<= {}", kMostPeakMib), reached_text(reached)});
    Json entry = steps;
    entry["at_most_mib"] = kMostPeakMib;
    entry["reached"] = reached;
    result["memory"].push_back(entry);
  }
  return measured.memory.empty() ? std::nullopt : std::optional(table);
}

}  // namespace widthwise
