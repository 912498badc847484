#include "cosim/cosimulate.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "codegen/vectors.h"
#include "core/error.h"
#include "core/files.h"
#include "cosim/verilated_model.h"
#include "hwmodel/cycles.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kMaxMismatches = 10;

// The analytic model's cycles for one tile, as a 1x1 convolution of K channels.
int64_t tile_cycles(const Accelerator& accelerator, const TileOperands& tile) {
  MatmulWorkload workload;
  workload.window.ifmap_channels = tile.reduction_length;
  workload.window.ofmap_channels = static_cast<int64_t>(tile.weight.size());
  workload.window.ifmap_cols = workload.window.ofmap_cols = static_cast<int64_t>(tile.ifmap.size());
  return count_cycles(workload, accelerator.datapath.accumulation, accelerator).cycles_per_tile;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Counts what was compared and keeps the first differences.
class Comparison {
 public:
  Comparison(CosimResult& result, bool gaps) : result_(result), gaps_(gaps) {}

  void check(const std::string& quantity, int64_t expected, int64_t got, int64_t tile = 0,
             int64_t row = 0, int64_t col = 0) {
    if (expected == got) return;
    ++result_.mismatch_count;
    if (result_.first_mismatches.size() >= kMaxMismatches) return;
    result_.first_mismatches.push_back({gaps_, tile, row, col, quantity, expected, got});
  }

  void compare(const ArrayParameters& array, std::span<const CosimTile> tiles,
               const ModelResults& got) {
    check("results", static_cast<int64_t>(tiles.size()), static_cast<int64_t>(got.tiles.size()));
    for (size_t t = 0; t < std::min(tiles.size(), got.tiles.size()); ++t) {
      const CosimTile& tile = tiles[t];
      const size_t cols = tile.operands.weight.size();
      for (size_t i = 0; i < tile.expected.size(); ++i) {
        const size_t row = i / cols, col = i % cols;
        const PeResult& pe = got.tiles[t][row * static_cast<size_t>(array.cols) + col];
        const auto place = [&](const std::string& quantity, int64_t expected, int64_t value) {
          check(quantity, expected, value, static_cast<int64_t>(t), static_cast<int64_t>(row),
                static_cast<int64_t>(col));
        };
        place("psum", tile.expected[i].value, pe.psum);
        place("overflow_count", std::min(tile.expected[i].overflow_count, array.max_count()),
              pe.overflow_count);
        ++result_.outputs_compared;
        result_.macs_compared += tile.operands.reduction_length;
      }
    }
  }

 private:
  CosimResult& result_;
  bool gaps_;
};

}  // namespace

CosimResult cosimulate(const Accelerator& accelerator, std::span<const CosimTile> tiles,
                       const CosimOptions& options, Progress& progress) {
  if (tiles.empty()) throw std::logic_error("co-simulation of no tiles");
  const fs::path rtl = options.work_folder / "rtl";
  prepare_folder(rtl);
  const GeneratedArray made = generate_array(accelerator, rtl, options.generate);
  if (options.fault) plant_fault(*options.fault, rtl);
  const VerilatedModel model(made, rtl, options.cache_folder, options.timeout_seconds, progress);

  CosimResult result;
  result.array = made.parameters.describe();
  result.config_hash = made.config_hash;
  result.module = made.module;
  if (options.fault) result.fault = options.fault->name;
  result.verilator_version = model.verilator_version();
  result.model_from_cache = model.from_cache();
  result.build_seconds = model.build_seconds();
  result.tiles = static_cast<int64_t>(tiles.size());
  result.cycles_expected = kDotTreeLatencyCycles;
  std::vector<TileOperands> operands;
  for (const CosimTile& tile : tiles) {
    operands.push_back(tile.operands);
    result.cycles_expected += tile_cycles(accelerator, tile.operands);
    result.beats += made.parameters.beats(tile.operands.reduction_length);
    for (const Reduction& reduction : tile.expected) {
      result.overflowing_additions += reduction.overflow_count;
      result.outputs_hit += reduction.overflow_count > 0;
    }
  }

  const fs::path stimulus = options.work_folder / "stimulus.bin";
  write_stimulus(made.parameters, operands, stimulus);
  progress.begin("co-simulate " + made.module, 2, "passes");
  const auto start = Clock::now();
  for (const bool gaps : {false, true}) {
    const ModelResults got =
        model.run(stimulus, gaps ? options.gap_seed : 0, options.work_folder, progress);
    Comparison comparison(result, gaps);
    comparison.compare(made.parameters, tiles, got);
    if (!gaps) {
      result.cycles_measured = got.cycles;
      comparison.check("cycles", result.cycles_expected, got.cycles);
    }
    progress.advance(1);
  }
  progress.end();
  result.run_seconds = seconds_since(start);
  return result;
}

}  // namespace widthwise
