#pragma once
#include <vector>

#include "models/float_executor.h"
#include "models/network.h"
#include "quant/quantized_network.h"

namespace widthwise {

// A quantized network as float layers, of the weights and biases that its codes stand for, and what
// its tensors are rounded to. FloatExecutor runs it many times faster than a datapath is simulated.
// Its codes are those of the float32 requantizer but for values within float32's rounding of a tie,
// about one in 10^5.
struct FakeQuantizedNetwork {
  FloatNetwork network;
  std::vector<FakeQuantization> tensors;
};
FakeQuantizedNetwork fake_quantized(const QuantizedNetwork& network);

// One layer's real weights and biases.
std::vector<float> real_weights(const QuantizedLayer& layer);
std::vector<float> real_bias(const QuantizedLayer& layer, const TensorQuantization& ifmap);

}  // namespace widthwise
