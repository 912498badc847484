#pragma once
#include "cli/quantize.h"
#include "quant/quantize.h"

namespace widthwise {

// Distiller's options of a request, the preset's among them. Throws InputError for options that do
// not go together or mean nothing, before anything is read but the configuration file.
PtqOptions checked_options(const QuantizeRequest& request);

// Under a budget of accuracy or energy.
bool chooses_widths(const MethodRequest& request);

// The format and the methods, as they are typed, of those that are given.
std::vector<std::string> method_options(const QuantizeRequest& request);

WeightClipping weight_clipping(const std::string& name);
WeightRounding weight_rounding(const std::string& name);
// "float": nothing.
std::optional<int> end_bits(const std::string& text);

}  // namespace widthwise
