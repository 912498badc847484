#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cli/quantize.h"
#include "core/progress.h"
#include "models/image_source.h"
#include "models/network.h"
#include "quant/quantize.h"

namespace widthwise {

// A labelled data set in another order: every second input from the first on, then the others, so
// that its halves have the same classes however they lie. The data must outlive it.
struct HalvedData {
  explicit HalvedData(const DataSet& data);
  ImageSource source;
  std::vector<int32_t> labels;
};

// Chooses the widths of all layers under the request's budgets (quant/choose_widths.h), the energy
// being that of the multiply-accumulates of an image by the request's cost table, and puts them
// into `config`. Returns a table of them to print, and the first images that the network it tells
// the accuracy of is calibrated on.
struct ChosenWidths {
  std::string text;
  int64_t images = 0;
};
ChosenWidths choose_widths_within(const MethodRequest& request, const FloatNetwork& network,
                                  const HalvedData& data, QuantizationConfig& config,
                                  Progress& progress);

}  // namespace widthwise
