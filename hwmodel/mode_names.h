#pragma once
#include <string>
#include <vector>

#include "core/overflow.h"
#include "core/requantizer.h"

namespace widthwise {

// The names by which an accelerator description can say how to round and what to do with an
// overflow: ours, as reports print them, then ap_fixed's (AP_) and SystemC's (SC_).
template <class Mode>
struct NamedMode {
  std::string name;
  Mode mode;
};
const std::vector<NamedMode<Rounding>>& rounding_names();
const std::vector<NamedMode<OverflowPolicy>>& overflow_names();

}  // namespace widthwise
