#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/accumulator.h"

namespace widthwise {

// One stage of the reduction over k. A tree sums `length` addends exactly; a chain keeps a running
// sum of `bits` bits that is fitted after every addition.
struct Stage {
  enum class Kind { kTree, kChain };
  static constexpr int64_t kAll = 0;

  Kind kind = Kind::kChain;
  int64_t length = kAll;  // addends per result; kAll: everything that is left
  int bits = 32;          // chain only, 2..48
  OverflowPolicy overflow = OverflowPolicy::kWrap;  // chain only
  int saturated_bits = 0;                           // of kWrapSaturatedBits, 1..bits; else 0
  bool operator==(const Stage&) const = default;
};

// kPreload: the outermost chain starts from the bias (fitted, not counted).
// kLast: the bias is one more counted addition to the outermost chain.
enum class BiasMode { kPreload, kLast };

// Reduction axes of a convolution, slowest first.
enum class ReductionAxis { kChannel, kRow, kCol };

// How the products of one output are summed: stages, innermost first. The last one is a chain over
// all that is left. Padded taps take part and add 0.
struct Accumulation {
  std::array<ReductionAxis, 3> order = {ReductionAxis::kChannel, ReductionAxis::kRow,
                                        ReductionAxis::kCol};
  std::vector<Stage> stages = {Stage{}};
  BiasMode bias = BiasMode::kPreload;

  // What is wrong with it, or nothing. `stage` says which one, -1 for the list as a whole.
  struct Problem {
    int stage;
    std::string field, problem;
  };
  std::optional<Problem> problem() const;

  const Stage& outermost() const { return stages.back(); }
  Accumulation with_outermost(int bits, OverflowPolicy overflow, int saturated_bits = 0) const;
  // Products summed exactly before the first fitted addition: the tree's length, or 1.
  int64_t lanes() const;
  int64_t chains() const;
  // "tree 16, chain all @ 16 bit saturate, bias preload"
  std::string describe() const;
  bool operator==(const Accumulation&) const = default;
};

}  // namespace widthwise
