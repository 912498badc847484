#include "cli/cosim_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "core/error.h"
#include "core/files.h"
#include "cosim/cosimulate.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kTileMacs = 400000;   // of the real layer: a second of simulation
constexpr int64_t kMadeUpLength = 700;  // products per output: overflows 24 bits at 8 x 8
// Planted to be caught: the first where something overflows, else one that any data shows.
constexpr const char* kOverflowFault = "overflow_wrong_bit";
constexpr const char* kAnyDataFault = "accumulator_not_restarted";

// A folder of this process that goes when it is done with.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(fs::temp_directory_path() / fmt::format("widthwise-cosim-{}", ::getpid())) {
    fs::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

const QuantizedLayer& heaviest_layer(const QuantizedNetwork& network,
                                     const Accelerator& accelerator, const ArrayParameters& array) {
  const QuantizedLayer* best = nullptr;
  std::string refusal;
  for (const QuantizedLayer& layer : network.layers) {
    const auto* workload = std::get_if<MatmulWorkload>(&layer.workload);
    if (workload == nullptr || workload->unit_weights) continue;  // the weights are to be seen, too
    try {
      check_layer_fits(accelerator, array, layer, network.tensor(layer.ifmaps[0]).quantization);
    } catch (const InputError& error) {
      refusal =
          error.problem().where + ": " + error.problem().field + " " + error.problem().problem;
      continue;
    }
    if (best == nullptr || workload->macs() > std::get<MatmulWorkload>(best->workload).macs())
      best = &layer;
  }
  if (best == nullptr) {
    throw InputError({.file = accelerator.file,
                      .where = "",
                      .field = "array",
                      .problem = "fits no layer of the network; the last refusal: " + refusal,
                      .fix = "quantize the network for this accelerator"});
  }
  return *best;
}

Json run_json(const CosimResult& result, const std::string& stimulus) {
  const char* verdict = result.fault ? (result.match() ? "FAULT NOT SEEN" : "fault caught")
                                     : (result.match() ? "match" : "MISMATCH");
  Json json = {{"array", result.array},
               {"module", result.module},
               {"config_hash", result.config_hash},
               {"stimulus", stimulus},
               {"outputs_compared", result.outputs_compared},
               {"macs_compared", result.macs_compared},
               {"overflowing_additions", result.overflowing_additions},
               {"outputs_hit", result.outputs_hit},
               {"cycles_measured", result.cycles_measured},
               {"cycles_expected", result.cycles_expected},
               {"mismatches", result.mismatch_count},
               {"verdict", verdict},
               {"verilator", result.verilator_version},
               {"build_seconds", result.build_seconds},
               {"run_seconds", result.run_seconds}};
  if (result.fault) json["fault"] = *result.fault;
  Json first = Json::array();
  for (const CosimMismatch& m : result.first_mismatches) {
    first.push_back({{"tile", m.tile},
                     {"row", m.row},
                     {"col", m.col},
                     {"quantity", m.quantity},
                     {"expected", m.expected},
                     {"got", m.got}});
  }
  json["first_mismatches"] = first;
  return json;
}

}  // namespace

fs::path cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return fs::path(cache) / "widthwise";
  const char* home = std::getenv("HOME");
  return (home != nullptr && *home != '\0' ? fs::path(home) / ".cache"
                                           : fs::temp_directory_path()) /
         "widthwise";
}

std::vector<Json> co_simulate_network(const Accelerator& accelerator,
                                      const QuantizedNetwork& network, const CodeSource& images,
                                      const fs::path& rtl_folder, const std::string& command,
                                      bool with_fault, Progress& progress) {
  const ArrayParameters array = array_parameters(accelerator);
  const QuantizedLayer& layer = heaviest_layer(network, accelerator, array);
  const TensorQuantization& ifmap = network.tensor(layer.ifmaps[0]).quantization;

  const Simulator simulator(network, accelerator.datapath);
  Simulator::State state = simulator.make_state();
  std::vector<int32_t> input(static_cast<size_t>(network.tensor(network.input).elements()));
  images.fill(0, 1, input.data());
  simulator.run(input, 1, state);

  const auto choices = pick_tiles(array, std::get<MatmulWorkload>(layer.workload), kTileMacs);
  const auto real =
      layer_cosim_tiles(accelerator, array, layer, ifmap,
                        state.tensors[static_cast<size_t>(layer.ifmaps[0])].codes(), choices);
  const auto made_up = operand_cosim_tiles(accelerator, made_up_tiles(array, kMadeUpLength, 1));

  const ScratchFolder scratch;
  CosimOptions options;
  options.work_folder = scratch.path();
  options.cache_folder = cache_folder() / "cosim";
  options.generate.command = command;
  std::vector<Json> runs;
  runs.push_back(run_json(cosimulate(accelerator, real, options, progress),
                          fmt::format("layer {}, {} tiles", layer.name, real.size())));
  runs.push_back(run_json(cosimulate(accelerator, made_up, options, progress),
                          fmt::format("made up, {} tiles", made_up.size())));
  if (with_fault) {
    const bool overflows = runs.back()["overflowing_additions"].get<int64_t>() > 0;
    options.fault = find_fault(overflows ? kOverflowFault : kAnyDataFault);
    runs.push_back(run_json(cosimulate(accelerator, made_up, options, progress),
                            "made up, with a planted fault: " + options.fault->description));
  }
  std::vector<TileOperands> operands;
  for (size_t i = 0; i < std::min<size_t>(real.size(), 4); ++i)
    operands.push_back(real[i].operands);
  fs::create_directories(rtl_folder);
  generate_array(accelerator, rtl_folder, options.generate, operands);
  return runs;
}

}  // namespace widthwise
