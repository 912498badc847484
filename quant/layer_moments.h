#pragma once
#include <cstdint>
#include <vector>

#include "models/network.h"
#include "quant/calibrate.h"
#include "quant/fake_quantized.h"

namespace widthwise {

// The layers that a tensor depends on, and no others; the tensor is the output.
FloatNetwork part_before(const FloatNetwork& network, int tensor);

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

// Of layer `workload`, which reads the outputs of the two networks. Of each image up to 256 output
// pixels, chosen at random by the image's number. Products are summed in float32 over 128 images
// and in double beyond; the result does not depend on the number of threads.
LayerMoments layer_moments(const MatmulWorkload& workload, const FloatNetwork& real,
                           const FakeQuantizedNetwork& quantized, const ImageSource& source,
                           int64_t images, bool covariances);

}  // namespace widthwise
