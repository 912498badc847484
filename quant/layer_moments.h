#pragma once
#include <tbb/enumerable_thread_specific.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "models/network.h"
#include "quant/calibrate.h"
#include "quant/fake_quantized.h"

namespace widthwise {

// The layers between two tensors, which are the input and the output: every way from the network's
// input to `to` must lead through `from`.
FloatNetwork part_between(const FloatNetwork& network, int from, int to);

// What a matmul layer's products are made of: x, its ifmap's values under the window, one vector
// for every output pixel, padded taps 0, in the order of the weights. Over samples of x in the
// float network and of y, the same in the quantized network as it is so far.
struct LayerMoments {
  int64_t groups = 1, length = 0;        // of x: reduction_length() per group
  std::vector<double> real_mean, mean;   // of x and y: [groups, length]
  std::vector<double> covariance;        // of y: [groups, length, length]; empty if not asked for
  std::vector<double> cross_covariance;  // of x and y: [groups, length of x, length of y]
  int64_t samples = 0;
};

// A float network, and the quantized one as it is, up to what a layer reads, with their inputs: the
// images, or what layers further on make of them.
struct LayerInputs {
  FloatNetwork real;
  FakeQuantizedNetwork quantized;
  ImageSource real_source, source;
};

// Runs both on both cores, one executor of each per thread.
class PairRunner {
 public:
  using Visit = std::function<void(int64_t first, int64_t count, std::span<const float> real,
                                   std::span<const float> quantized)>;
  explicit PairRunner(const LayerInputs& inputs);  // which must outlive it
  // Images [first, first + count), in batches; visit is called by many threads.
  void run(int64_t first, int64_t count, const Visit& visit);

 private:
  const LayerInputs& inputs_;
  tbb::enumerable_thread_specific<FloatExecutor> real_, quantized_;
};

// Of layer `workload`, which reads the outputs of the two networks. Of each image up to 256 output
// pixels, chosen at random by the image's number. Products are summed in float32 over 128 images
// and in double beyond; the result does not depend on the number of threads.
LayerMoments layer_moments(const MatmulWorkload& workload, const LayerInputs& inputs,
                           int64_t images, bool covariances);

}  // namespace widthwise
