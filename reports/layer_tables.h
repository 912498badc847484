#pragma once
#include <string>
#include <vector>

#include "reports/layer_report.h"
#include "reports/text_table.h"

namespace widthwise {

// Tables of what layer_report says. `run`: has its "layers", and the network's "accumulation".
// Per layer: shape, K, MACs, bounds, observed width, samples, and what the rate of overflow at that
// width is below.
TextTable bound_table(const Json& run);
inline constexpr const char* kOverflowThere =
    "'there <': what the rate of overflow at the observed width is below, with 95 % "
    "confidence, were outputs independent.";
// Per layer: % of outputs hit at each width under wrap.
inline constexpr const char* kOverflowTable =
    "% of outputs that overflow at each accumulator width under wrap ('-': proven safe by the "
    "weights)";
TextTable overflow_table(const Json& run);
// Per layer with two chains: % of outputs hit in the inner one at each of its widths.
TextTable inner_overflow_table(const Json& run);

// "tree 16, chain all @ 16 bit saturate, bias preload; 2 layers state their own"
std::string accumulation_text(const Json& run);

// The widths of the overflow table: from the narrowest at which some layer is hit on less than all
// of its outputs, to the widest weight bound, at most `most` of them.
inline constexpr int kMostShownWidths = 14;
std::vector<int> shown_widths(const Json& run, int most = kMostShownWidths);

}  // namespace widthwise
