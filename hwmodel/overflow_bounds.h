#pragma once
#include <cstdint>
#include <span>

#include "core/accumulation.h"
#include "core/integer_format.h"

namespace widthwise {

// Exact limits of every value that an accumulator can hold. |low|, |high| < 2^100.
struct SumBounds {
  __int128 low = 0, high = 0;
  // Width of the narrowest two's-complement integer that holds both.
  int bits() const;
};

// Limits over all data, all orders, all tilings and all adder trees: the ifmap's zero point is one
// of its codes, so every product's interval contains 0, and every partial sum is within (the sum of
// the negative ends, the sum of the positive ends). The bias then depends on where it enters:
//   kPreload  the chain starts from it: bias + that interval, which every prefix stays in
//   kLast     prefixes are without it, the result with it: the union of both intervals
// These are the limits of the outermost chain; inner stages start from 0: use a bias of 0 (and, for
// a tight bound, only the weights that the stage sums). A width of bits() cannot overflow.
// Codes minus zero point are meant throughout; hardware that folds the zero point into the bias has
// raw codes on its way: use an ifmap zero point of 0.
// Throws std::invalid_argument if the zero point is no code of the ifmap.

// The weights of one output channel are known.
SumBounds weight_bounds(std::span<const int32_t> weights, IntegerFormat ifmap, int32_t zero_point,
                        int64_t bias, BiasMode mode);

// Only the formats are known: K products of extreme codes. A signed weight of 1 bit is binary,
// {-1, +1}. unit_weights: every weight is 1. `bias`: the limits of the layer's biases, [low, high].
SumBounds data_type_bounds(IntegerFormat ifmap, int32_t zero_point, IntegerFormat weight,
                           int64_t reduction_length, bool unit_weights, SumBounds bias = {},
                           BiasMode mode = BiasMode::kPreload);

// data_type_bounds().bits() without bias.
int data_type_bound_bits(IntegerFormat ifmap, int32_t zero_point, IntegerFormat weight,
                         int64_t reduction_length, bool unit_weights);

// The textbook's width: ifmap bits + weight bits + ceil(log2 K), K >= 1. Knows no signs: it is one
// bit short when both operands are unsigned, and one too wide for most signed ones.
int textbook_bits(int ifmap_bits, int weight_bits, int64_t reduction_length);

}  // namespace widthwise
