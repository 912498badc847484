#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "models/float_executor.h"
#include "quant/distiller_network.h"
#include "sim/integer_sums.h"

namespace widthwise {

// A tensor over a batch: codes with the quantization that its writer gave it, or real numbers.
struct DistillerValue {
  std::vector<int32_t> codes;
  std::vector<float> real;
  LinearQuantization quantization;
  bool is_quantized = false;
};

// What left its range as a layer ran: the risk of ranges that were taken from other data.
struct ClippingCounts {
  int64_t outputs = 0, clipped_low = 0, clipped_high = 0;  // beyond the least and greatest code
  int64_t inputs = 0, inputs_clipped = 0;  // of inputs that the layer itself quantized
  int64_t accumulators_saturated = 0;
  void merge(const ClippingCounts& other);
};

// A layer after it ran. Empty where it has none of it.
struct DistillerObservation {
  size_t layer;
  const DistillerLayer& description;
  std::vector<const DistillerValue*> inputs;  // as the layer computed with them
  std::vector<float> accumulator_scales, requantize_ratios;
  std::vector<int64_t> bias;
  std::span<const int32_t> accumulators;  // clamped, after a fused ReLU
  const DistillerValue& ofmap;
};

// Runs a network as Distiller does: integers between the layers, in quant/linear_layer.h's
// arithmetic. Thread-safe, each thread with a State of its own.
class DistillerRunner {
 public:
  // The network must outlive it. batch: most images of one run. With dynamic ranges the images of a
  // run are the batch that its ranges are of.
  DistillerRunner(const DistillerNetwork& network, int64_t batch);
  ~DistillerRunner();

  struct State {
    Workspace workspace;
    std::vector<DistillerValue> values;  // by tensor
    std::vector<ClippingCounts> counts;  // by layer; kept from run to run
    // Of float products, by layer.
    std::map<size_t, FloatNetwork> networks;
    std::map<size_t, std::unique_ptr<FloatExecutor>> executors;
  };
  State make_state() const;
  using Observer = std::function<void(const DistillerObservation& observation)>;
  // [images, elements of the network's input] -> [images, outputs], valid until the next run.
  std::span<const float> run(std::span<const float> images, int64_t n, State& state,
                             const Observer& observer = {}) const;

  const DistillerNetwork& network() const { return network_; }
  int64_t batch() const { return batch_; }

 private:
  class Run;
  struct Product;
  int ifmap_bits_of(size_t layer) const;
  void fix_scales();

  const DistillerNetwork& network_;
  int64_t batch_;
  std::vector<std::unique_ptr<Product>> products_;  // by layer; null for other kinds
};

// Codes of a row of accumulators: linear_requantize() of each, in vectors.
void requantize_row(std::span<const int32_t> accumulators, float ratio, const LinearScale& ofmap,
                    const LinearQuantization& quantization, int32_t* codes, ClippingCounts& counts);
// Operands in units of a sum: rescaled_operand() of each code, in vectors.
void rescale_row(std::span<const int32_t> codes, const LinearScale& operand, float ratio,
                 float* rescaled);
// Codes of real numbers: linear_quantize() of each, in vectors. Returns how many were clipped.
struct Clipped {
  int64_t low = 0, high = 0;
};
Clipped quantize_row(std::span<const float> values, const LinearScale& scale,
                     const LinearQuantization& quantization, int32_t* codes);

}  // namespace widthwise
