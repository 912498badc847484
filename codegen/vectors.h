#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "codegen/stimulus.h"

namespace widthwise {

// What one PE must hold after a tile.
struct PeResult {
  int64_t psum = 0;
  int64_t overflow_count = 0;  // limited to the counter's end
  bool operator==(const PeResult&) const = default;
};

// Result of every PE of the array, [rows * cols], for the generated test bench. Idle rows and
// columns included, as for_each_beat feeds them.
std::vector<PeResult> expected_results(const ArrayParameters& array, const TileOperands& tile);

// Vectors of the generated Verilog test bench, for $readmemh.
struct HexVectors {
  std::string beats, expected;
  int64_t beat_count = 0, result_count = 0;
};
HexVectors hex_vectors(const ArrayParameters& array, std::span<const TileOperands> tiles);

// Stimulus of the Verilator harness: little-endian words of 32 bits.
//   header  kStimulusMagic, words of ifmap_i, weight_i, bias_i, psum_o, overflow_count_o, then the
//           number of beats (two words)
//   a beat  flags (1 first, 2 last, 4 bias beat), zero point, ifmap, weight, bias
inline constexpr uint32_t kStimulusMagic = 0x31535757;  // "WWS1"
void write_stimulus(const ArrayParameters& array, std::span<const TileOperands> tiles,
                    const std::filesystem::path& path);

}  // namespace widthwise
