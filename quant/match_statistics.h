#pragma once
#include <string>
#include <utility>
#include <vector>

#include "models/network.h"
#include "quant/statistics.h"

namespace widthwise {

// Statistics of a file brought to the layers of a network (lowered with Clamps::kLayers).
struct MatchedStatistics {
  NetworkStatistics statistics;      // by the names in `modules`
  std::vector<std::string> modules;  // of the layers: the given names, or the file's
  // What was found by its numbers: layer and entry, and entry of a normalization and layer.
  std::vector<std::pair<std::string, std::string>> renamed, folded;
  std::vector<std::string> unused;  // entries of the file that belong to no layer
  // "input 0 of conv2": seen by the layer that wrote this tensor with other numbers.
  std::vector<std::string> conflicts;
};

// A layer takes the entry of its name. Names are lost where a network was exported with functional
// operators or folded batch normalizations, but one tensor has one record wherever it is seen, so
// - a layer without weights and without an entry takes the only one that saw its inputs' records
//   and has its shape, and its name with it;
// - an entry that saw a product's output record, and is no ReLU of it, is a batch normalization
//   that was folded into it: its output's record is the product's.
// Records of one tensor conflict where mean, std or b differ (ranges may, behind a ReLU's limits),
// or, of records without them, the range.
// Throws InputError, naming `file`, where no layer has an entry, and for records whose shape is
// another one than the network's.
MatchedStatistics match_statistics(const FloatNetwork& network,
                                   const std::vector<std::string>& modules,
                                   const NetworkStatistics& read, const std::string& file);

}  // namespace widthwise
