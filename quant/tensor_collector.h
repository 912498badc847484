#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "models/image_source.h"
#include "models/network.h"
#include "quant/record_collector.h"

namespace widthwise {

struct CollectorOptions {
  int64_t batch = 128;  // images; the records depend on it (see RecordCollector)
  Compat compat = Compat::kNone;
  int histogram_bins = 0;    // 0: no histograms
  bool only_ranges = false;  // one pass: neither std, b nor histograms
};

// Records of tensors of a float network over the first `images` images of a source, which are read
// twice, or once for ranges alone: `progress` advances by as many images. `recorded`: by tensor.
// `names` are those of the layers, for messages. Runs on both cores; the numbers do not depend on
// how many there are, nor does memory on the number of images. Throws InputError where a layer's
// values are not finite.
std::vector<RecordCollector> collect_tensors(const FloatNetwork& network,
                                             std::span<const std::string> names,
                                             const std::vector<bool>& recorded,
                                             const ImageSource& source, int64_t images,
                                             const CollectorOptions& options, Progress& progress);

}  // namespace widthwise
