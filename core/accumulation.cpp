#include "core/accumulation.h"

#include <fmt/format.h>

#include <algorithm>

namespace widthwise {

std::optional<Accumulation::Problem> Accumulation::problem() const {
  if (stages.empty()) return Problem{-1, "stages", "is empty, allowed at least one chain"};
  for (size_t i = 0; i < stages.size(); ++i) {
    const Stage& stage = stages[i];
    const int index = static_cast<int>(i);
    const bool last = i + 1 == stages.size();
    if (stage.length < 0)
      return Problem{index, "length",
                     fmt::format("is {}, allowed 1 or more, or all", stage.length)};
    if (last && (stage.kind != Stage::Kind::kChain || stage.length != Stage::kAll)) {
      return Problem{index, "kind", "of the last stage must be a chain of length all"};
    }
    if (!last && stage.length == Stage::kAll) {
      return Problem{index, "length", "is all, allowed only in the last stage"};
    }
    if (stage.kind == Stage::Kind::kChain &&
        (stage.bits < kMinAccumulatorBits || stage.bits > kMaxAccumulatorBits)) {
      return Problem{index, "bits",
                     fmt::format("is {}, allowed {}..{}", stage.bits, kMinAccumulatorBits,
                                 kMaxAccumulatorBits)};
    }
    const bool saturates_bits =
        stage.kind == Stage::Kind::kChain && stage.overflow == OverflowPolicy::kWrapSaturatedBits;
    const int least = saturates_bits ? 1 : 0, greatest = saturates_bits ? stage.bits : 0;
    if (stage.saturated_bits < least || stage.saturated_bits > greatest) {
      return Problem{index, "saturated_bits",
                     fmt::format("is {}, allowed {}..{}", stage.saturated_bits, least, greatest)};
    }
  }
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return Problem{-1, "order", "names an axis twice, allowed each of channel, row, col once"};
  }
  return std::nullopt;
}

Accumulation Accumulation::with_outermost(int bits, OverflowPolicy overflow,
                                          int saturated_bits) const {
  Accumulation changed = *this;
  changed.stages.back().bits = bits;
  changed.stages.back().overflow = overflow;
  changed.stages.back().saturated_bits = saturated_bits;
  return changed;
}

int64_t Accumulation::lanes() const {
  return stages.front().kind == Stage::Kind::kTree ? stages.front().length : 1;
}

int64_t Accumulation::chains() const {
  return std::count_if(stages.begin(), stages.end(),
                       [](const Stage& s) { return s.kind == Stage::Kind::kChain; });
}

std::string Accumulation::describe() const {
  std::string text;
  for (const Stage& stage : stages) {
    const std::string length = stage.length == Stage::kAll ? "all" : std::to_string(stage.length);
    if (stage.kind == Stage::Kind::kTree) {
      text += fmt::format("tree {}, ", length);
      continue;
    }
    text += fmt::format("chain {} @ {} bit {}", length, stage.bits,
                        overflow_policy_name(stage.overflow));
    if (stage.saturated_bits > 0) text += fmt::format(" {}", stage.saturated_bits);
    text += ", ";
  }
  return text + (bias == BiasMode::kPreload ? "bias preload" : "bias last");
}

}  // namespace widthwise
