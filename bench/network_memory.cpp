// Memory of a program that runs one image through a network once, step by step, as JSON in MiB:
//   network_memory exact|census_chain|saturate16_chain
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/network_path.h"
#include "bench/resnet18.h"

namespace widthwise {
namespace {

constexpr double kMebibyte = 1024.0 * 1024;

double resident_mib() {
  int64_t all = 0, resident = 0;  // pages
  std::ifstream("/proc/self/statm") >> all >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / kMebibyte;
}

double peak_mib() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void run(const std::string& name) {
  const auto path = std::find_if(std::begin(kNetworkPaths), std::end(kNetworkPaths),
                                 [&](const NetworkPath& known) { return name == known.name; });
  if (path == std::end(kNetworkPaths)) throw std::runtime_error("no path '" + name + "'");
  const double program = resident_mib();
  QuantizedNetwork network = resnet18(224);
  const std::vector<int32_t> image = random_images(network, 1);
  const double made = resident_mib();
  const Simulator simulator = simulator_of(std::move(network), *path);
  const double packed = resident_mib();
  Simulator::State state = simulator.make_state();
  simulator.run(image, 1, state);
  const double ran = resident_mib();
  const nlohmann::ordered_json steps = {{"network", simulator.network().name},
                                        {"path", name},
                                        {"program_mib", program},
                                        {"network_mib", made - program},
                                        {"packed_mib", packed - made},
                                        {"run_mib", ran - packed},
                                        {"peak_mib", peak_mib()}};
  fmt::print("{}\n", steps.dump(2));
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("takes one path");
    widthwise::run(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "network_memory: {}\n", error.what());
    return 1;
  }
}
