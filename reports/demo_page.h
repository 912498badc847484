#pragma once
#include <string>

#include "reports/layer_report.h"

namespace widthwise {

// A demo result as one HTML page: plots and tables, nothing outside the file, no script.
std::string demo_page(const Json& result);

}  // namespace widthwise
