#pragma once
#include <filesystem>
#include <string>

#include "quant/statistics.h"

namespace widthwise {

// Distiller's statistics file: a map of layers in the order that the network has them,
//   conv1:
//     inputs:
//       0: {min: -1.0, max: 1.0, avg_min: ..., avg_max: ..., mean: ..., std: ..., b: ...,
//           shape: "(100, 3, 32, 32)", total_numel: 1536000}
//     output: {...}
// of which min and max must be there. A record may hold `histogram: {low, high, counts: [...]}`,
// too, which Distiller does not know and does not mind. `images` follows from shape and
// total_numel. Throws InputError with the line for what is unknown, missing, given twice, not
// finite or out of order.
NetworkStatistics read_statistics(const std::filesystem::path& path);
NetworkStatistics parse_statistics(const std::string& text, const std::string& file);

// The text of such a file, for write_file(): layers by their position, keys in Distiller's order,
// numbers as the shortest decimals that give the same double. What is read back is the same.
std::string statistics_yaml(const NetworkStatistics& statistics);

}  // namespace widthwise
