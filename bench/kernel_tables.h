#pragma once
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/measurements.h"
#include "reports/text_table.h"

namespace widthwise {

// Speeds of single layers as ratios to their peers', one table for each kind of data; the same is
// added to `result`.
std::vector<TextTable> kernel_tables(const Measurements& measured, nlohmann::ordered_json& result);

}  // namespace widthwise
