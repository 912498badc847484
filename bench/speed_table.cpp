// Ratios to the peers from what the programs of one bench/run measured, as tables and as JSON:
// speed_table FOLDER [OUT.json]
#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "bench/kernel_tables.h"
#include "bench/network_tables.h"
#include "core/files.h"

namespace widthwise {
namespace {

int run(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "speed_table: FOLDER [OUT.json]\n");
    return 1;
  }
  const Measurements measured = read_measurements(argv[1]);
  nlohmann::ordered_json result;
  for (const TextTable& table : kernel_tables(measured, result)) fmt::print("{}\n", table.text());
  for (const auto& table : {network_table(measured, result), memory_table(measured, result)}) {
    if (table) fmt::print("{}\n", table->text());
  }
  if (result.empty()) {
    fmt::print(stderr, "speed_table: nothing to compare: no path was measured with its peer\n");
    return 1;
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
