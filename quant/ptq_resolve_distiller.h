#pragma once
#include <string>
#include <vector>

#include "quant/ptq_resolve.h"

namespace widthwise {

// resolve() of kDistiller03 and kDistiller04, but for the checks before and after.
ResolvedSettings resolve_as_distiller(const PtqOptions& options, const std::vector<Module>& modules,
                                      Compat compat, const std::string& file);

}  // namespace widthwise
