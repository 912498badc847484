#include "hwmodel/additions.h"

#include <fmt/format.h>

#include <map>

#include "hwmodel/tiling.h"

namespace widthwise {
namespace {

void add_tree_levels(int64_t addends, int64_t times, std::map<int, int64_t>& levels) {
  for (int level = 1; addends > 1; ++level) {
    levels[level] += times * (addends / 2);
    addends = addends / 2 + addends % 2;
  }
}

// hardware: adders of one PE, whose trees are full and whose chains have one adder; else additions.
std::vector<Adders> walk_stages(const Accumulation& accumulation, int product_bits,
                                int64_t reduction, bool hardware) {
  std::vector<Adders> all;
  int64_t addends = reduction;
  int bits = product_bits;
  for (const Stage& stage : accumulation.stages) {
    const int64_t length = stage.length == Stage::kAll ? addends : stage.length;
    if (stage.kind == Stage::Kind::kTree) {
      std::map<int, int64_t> levels;
      const int64_t full = hardware ? 1 : addends / length;
      add_tree_levels(length, full, levels);
      const int grown = bits + static_cast<int>(levels.size());
      if (!hardware) add_tree_levels(addends % length, 1, levels);
      for (const auto& [level, count] : levels) {
        if (count > 0)
          all.push_back({fmt::format("tree level {} {}", level, hardware ? "adder" : "addition"),
                         bits + level, count});
      }
      bits = grown;
    } else {
      const bool outermost = &stage == &accumulation.outermost();
      const int64_t bias = outermost && accumulation.bias == BiasMode::kLast ? 1 : 0;
      all.push_back({fmt::format("{} {}", outermost ? "accumulator" : "inner chain",
                                 hardware ? "adder" : "addition"),
                     stage.bits, hardware ? 1 : addends + bias});
      bits = stage.bits;
    }
    addends = ceil_div(addends, length);
  }
  return all;
}

}  // namespace

std::vector<Adders> additions_per_output(const Accumulation& accumulation, int product_bits,
                                         int64_t reduction) {
  return walk_stages(accumulation, product_bits, reduction, false);
}

std::vector<Adders> adders_per_pe(const Accumulation& accumulation, int product_bits) {
  return walk_stages(accumulation, product_bits, accumulation.lanes(), true);
}

}  // namespace widthwise
