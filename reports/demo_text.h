#pragma once
#include <string>
#include <vector>

#include "reports/layer_tables.h"

namespace widthwise {

// Tables of a demo result, shared by the terminal and the page. `result` as docs/results.md says.
TextTable accuracy_table(const Json& result);
TextTable width_table(const Json& precision);  // accuracy at each width, wrap and saturate
TextTable energy_table(const Json& cost);
TextTable ratio_table(const Json& cost);
TextTable cosim_table(const Json& result);

// "INT4: weights per channel, activations asymmetric, ranges mse, rounding gptq, biases corrected"
std::string quantization_text(const Json& precision);
std::string cost_tables_text(const Json& cost);  // "horowitz_45nm, 45 nm, 0.9 V"
inline constexpr const char* kNotCounted =
    "Registers, control, zero-point subtractors and requantizers are not in the table and not "
    "counted.";

// Everything, for a terminal.
std::string demo_text(const Json& result);

}  // namespace widthwise
