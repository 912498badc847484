#pragma once
#include <string>
#include <vector>

#include "reports/layer_report.h"
#include "reports/text_table.h"

namespace widthwise {

// Tables of a demo result, shared by the terminal and the page. `result` as docs/results.md says.
TextTable accuracy_table(const Json& result);
TextTable bound_table(const Json& precision);  // per layer: shape, K, MACs, bounds, observed width
TextTable overflow_table(const Json& precision);  // per layer: % of outputs hit at each width
TextTable width_table(const Json& precision);     // accuracy at each width, wrap and saturate
TextTable energy_table(const Json& cost);
TextTable ratio_table(const Json& cost);
TextTable cosim_table(const Json& result);

// "tree 16, chain all @ 16 bit saturate, bias preload; 2 layers state their own"
std::string accumulation_text(const Json& precision);
std::string cost_tables_text(const Json& cost);  // "horowitz_45nm, 45 nm, 0.9 V"
inline constexpr const char* kNotCounted =
    "Registers, control, zero-point subtractors and requantizers are not in the table and not "
    "counted.";

// The widths of the overflow table: from the narrowest at which some layer is hit on less than all
// of its outputs, to the widest weight bound, at most `most` of them.
std::vector<int> shown_widths(const Json& precision, size_t most = 14);

// Everything, for a terminal.
std::string demo_text(const Json& result);

}  // namespace widthwise
