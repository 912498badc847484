#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codegen/generate.h"
#include "core/progress.h"
#include "cosim/fault.h"
#include "sim/reference.h"

namespace widthwise {

// A tile's operands and what the simulator's reference says of every output, [rows * columns in
// use].
struct CosimTile {
  TileOperands operands;
  std::vector<Reduction> expected;
};

// Tiles of a real layer: operands gathered by codegen, expected results computed from the layer by
// sim; the two share no code. Throws InputError as check_layer_fits does.
std::vector<CosimTile> layer_cosim_tiles(const Accelerator& accelerator,
                                         const ArrayParameters& array, const QuantizedLayer& layer,
                                         const TensorQuantization& ifmap,
                                         std::span<const int32_t> codes,
                                         std::span<const TileChoice> choices);

// Tiles of made-up operands.
std::vector<CosimTile> operand_cosim_tiles(const Accelerator& accelerator,
                                           std::vector<TileOperands> operands);

struct CosimOptions {
  std::filesystem::path work_folder;   // generated array, stimulus, results; made when missing
  std::filesystem::path cache_folder;  // compiled models, for later runs
  GenerateOptions generate;
  std::optional<Fault> fault;    // planted into the generated Verilog
  uint32_t gap_seed = 1;         // of the idle cycles in the second pass, >= 1
  double timeout_seconds = 600;  // for the build and for each run
};

struct CosimMismatch {
  bool gaps = false;  // in the pass with idle cycles
  int64_t tile = 0;   // index into the tiles
  int64_t row = 0, col = 0;
  std::string quantity;  // "psum", "overflow_count", "results", "cycles"
  int64_t expected = 0, got = 0;
};

// One co-simulation: the same tiles without a gap, then with idle cycles.
struct CosimResult {
  std::string array, config_hash, module;  // array: ArrayParameters::describe()
  std::optional<std::string> fault;
  int64_t tiles = 0, beats = 0;
  int64_t outputs_compared = 0;                        // psum and overflow count each, both passes
  int64_t macs_compared = 0;                           // both passes
  int64_t overflowing_additions = 0, outputs_hit = 0;  // expected, of one pass
  int64_t cycles_measured = 0, cycles_expected = 0;    // of the pass without gaps
  int64_t mismatch_count = 0;
  std::vector<CosimMismatch> first_mismatches;  // at most 10
  std::string verilator_version;
  bool model_from_cache = false;
  double build_seconds = 0, run_seconds = 0;

  bool match() const { return mismatch_count == 0; }
};

// Generates the array into work_folder/rtl, compiles it, feeds it the tiles and compares psums and
// overflow counts bit for bit and the cycles with hwmodel's count. Throws InputError when a tool is
// missing or fails, Interrupted when progress says so.
CosimResult cosimulate(const Accelerator& accelerator, std::span<const CosimTile> tiles,
                       const CosimOptions& options, Progress& progress = Progress::none());

}  // namespace widthwise
