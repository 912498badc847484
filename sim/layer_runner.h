#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/requantizer.h"
#include "hwmodel/accelerator.h"
#include "quant/quantized_network.h"
#include "sim/census.h"
#include "sim/code_tensor.h"
#include "sim/packed_matmul.h"

namespace widthwise {

// How a network is run on a datapath.
struct RunOptions {
  struct Outermost {
    int bits;
    OverflowPolicy overflow;
    int saturated_bits = 0;  // of kWrapSaturatedBits
  };
  // In place of every layer's outermost chain; the other stages stay as described.
  std::optional<Outermost> outermost;
  // Sums are exact, and every width's overflow is taken down. Needs one fitted chain per layer,
  // which wraps or saturates.
  bool census = false;
  // Overflowing additions, outputs hit and outputs wrong are counted as the layer runs.
  bool count = false;
  const KernelTable* kernels = nullptr;  // null: default_kernels()
};

const KernelTable& kernels_of(const RunOptions& options);

// What one matmul layer did at the widths that it ran with. Kept apart, see docs/datapath.md.
struct OverflowCounts {
  int64_t additions_overflowed = 0;
  int64_t outputs = 0;
  int64_t outputs_hit = 0;    // at least one addition overflowed
  int64_t outputs_wrong = 0;  // the final value differs from the exact sum
  void merge(const OverflowCounts& other);
};

struct LayerRecord {
  LayerCensus census;     // options.census
  OverflowCounts counts;  // options.count
  void merge(const LayerRecord& other);
};

// One layer, ready to run over batches of images. Thread-safe: all that changes is the caller's.
class LayerRunner {
 public:
  virtual ~LayerRunner() = default;
  // ifmaps[i]: of [images, elements of ifmap i]; ofmap: is written as [images, elements].
  virtual void run(const std::vector<const CodeTensor*>& ifmaps, CodeTensor& ofmap, int64_t images,
                   Workspace& workspace, LayerRecord& record) const = 0;
  virtual LayerRecord empty_record() const { return {}; }
  // Whether run() reads the layer's weights, which are not packed.
  virtual bool reads_weights() const { return false; }
};
// Frees the weights of a layer whose runner does not read them.
void drop_weights(QuantizedLayer& layer, const LayerRunner& runner);

// From sums of a matmul layer's output channel to codes: a mean where its weights are 1 and their
// scale is f32(1 / taps). Throws std::invalid_argument as Requantizer does.
Requantizer layer_requantizer(const QuantizedLayer& layer, int64_t channel,
                              const TensorQuantization& ifmap, const TensorQuantization& ofmap,
                              const RequantizeConfig& config);

// Throws InputError, naming the layer, when its operands do not fit the datapath, its scales do not
// suit the requantizer, or a census is asked of stages or policies that it does not cover.
std::unique_ptr<LayerRunner> make_layer_runner(const QuantizedNetwork& network,
                                               const QuantizedLayer& layer,
                                               const Datapath& datapath, const RunOptions& options);

}  // namespace widthwise
