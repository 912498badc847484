#pragma once
#include <cstdint>

// Files between cosim and the harness: little-endian words of 32 bits.
//   stimulus  write_stimulus in codegen/vectors.h
//   results   kResultsMagic, results (two words), cycles from the first beat to the last result,
//             both counted (two words), zeros to kHeaderWords; then per result: the cycle (two
//             words), psum_o, overflow_count_o
namespace widthwise::harness {

inline constexpr uint32_t kStimulusMagic = 0x31535757;  // "WWS1"
inline constexpr uint32_t kResultsMagic = 0x31525757;   // "WWR1"
inline constexpr uint32_t kHeaderWords = 8;
inline constexpr int kDrainCycles = 64;  // after the last beat, to see results that come too late

}  // namespace widthwise::harness
