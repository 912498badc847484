#pragma once
#include <set>
#include <string>
#include <vector>

#include "quant/quantize.h"

namespace widthwise {

// What stays in float where some layers do. A tensor holds real numbers if what writes it has real
// activations (so has the network's input) and nothing that reads it wants codes. Data movement
// with one input and max-pooling take what they are given; all other layers compute with real
// numbers only by name.
struct FloatParts {
  std::vector<bool> layers, tensors;  // by index
};
// Throws InputError for names of config.float_activations that the network does not have or whose
// layer only passes values on, and for names of config.float_weights without weights.
FloatParts float_parts(const FloatNetwork& network, const QuantizationConfig& config);

// The first and the last layer with weights; of a single one its name alone.
std::set<std::string> end_layers(const FloatNetwork& network);

}  // namespace widthwise
