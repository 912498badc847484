#pragma once
#include <string>

#include "quant/module_network.h"
#include "quant/ptq_resolve.h"

namespace widthwise {

// What each layer of a network is quantized with: resolve(), and what the network says beyond
// names.
//   Data movement has no settings of its own. Sums and joins have no dynamic form: they run in
//   float. kDistiller03 has float in all that has no weights and is no sum. kNone: a ReLU that
//   alone reads a quantized product, sum or join is that layer's (`joins`).
// Throws InputError of resolve(), and in kNone for what would have no effect: overrides that decide
// about ReLUs of other layers alone, dynamic bits of sums, inputs that a layer does not have.
ResolvedSettings resolve_modules(const PtqOptions& options, const ModuleNetwork& network,
                                 Compat compat, const std::string& file);

}  // namespace widthwise
