#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/accumulation.h"

namespace widthwise {

// Additions or adders of one kind.
struct Adders {
  std::string what;
  int bits;
  int64_t count;
};

// Additions of one output whose `reduction` products are `product_bits` wide, stage by stage:
//   tree   sums its addends pairwise, level by level, an odd one is passed on: T addends take T - 1
//          additions, those of level l one bit wider than those of level l - 1. A partly filled
//          tree counts the additions of its addends only.
//   chain  one addition per addend, at its width; one more for a bias that is added last.
std::vector<Adders> additions_per_output(const Accumulation& accumulation, int product_bits,
                                         int64_t reduction);

// Adders of one PE: its full trees, and one adder per chain.
std::vector<Adders> adders_per_pe(const Accumulation& accumulation, int product_bits);

}  // namespace widthwise
