#pragma once
#include <string>
#include <vector>

#include "reports/layer_report.h"

namespace widthwise {

// How a result was made: {command, versions: {tool: version}, inputs: [{file, sha1}]}.
Json run_info(const std::string& command, const std::vector<std::string>& input_files);

// As a file holds it: indented, and bytes that are no UTF-8 (of a path, say) replaced.
std::string json_text(const Json& json);

}  // namespace widthwise
