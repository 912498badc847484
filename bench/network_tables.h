#pragma once
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/measurements.h"
#include "reports/text_table.h"

namespace widthwise {

// Times of whole networks beside their peers', and the memory that a run takes; nothing if it was
// not measured. The same is added to `result`.
std::optional<TextTable> network_table(const Measurements& measured,
                                       nlohmann::ordered_json& result);
std::optional<TextTable> memory_table(const Measurements& measured, nlohmann::ordered_json& result);

}  // namespace widthwise
