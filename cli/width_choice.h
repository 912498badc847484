#pragma once
#include <string>

#include "cli/quantize.h"
#include "core/progress.h"
#include "models/dataset.h"
#include "models/network.h"
#include "quant/quantize.h"

namespace widthwise {

// Chooses the widths of all layers under the request's budgets (quant/choose_widths.h), the energy
// being that of the multiply-accumulates of an image by the request's cost table, and puts them
// into `config`. Returns a table of them to print.
std::string choose_widths_within(const MethodRequest& request, const FloatNetwork& network,
                                 const DataSet& data, QuantizationConfig& config,
                                 Progress& progress);

}  // namespace widthwise
