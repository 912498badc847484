#pragma once
#include <cstdint>
#include <string>

#include "core/accumulation.h"
#include "core/integer_format.h"
#include "hwmodel/accelerator.h"
#include "quant/quantized_network.h"

namespace widthwise {

// Widths that the description does not state.
struct PortWidths {
  int bias_bits = 32;   // 1..48
  int count_bits = 16;  // 1..32: overflow counts stay at 2^count_bits - 1 once there
};

// The integers that configure an output-stationary dot-product array (rtl_templates/dot_tree).
struct ArrayParameters {
  std::string template_name;
  int rows = 1, cols = 1, lanes = 1;
  IntegerFormat ifmap, weight;
  int acc_bits = 32;
  OverflowPolicy overflow = OverflowPolicy::kWrap;  // or kSaturate
  BiasMode bias = BiasMode::kPreload;
  int bias_bits = 32, count_bits = 16;

  // Beats of one reduction of `length` products, >= 1.
  int64_t beats(int64_t length) const {
    return (length + lanes - 1) / lanes + (bias == BiasMode::kLast ? 1 : 0);
  }
  // A signed weight of 1 bit is binary, {-1, +1}; on its wire 0 is +1 and 1 is -1.
  bool binary_weights() const { return weight.bits == 1 && weight.is_signed; }
  int64_t weight_max() const { return binary_weights() ? 1 : weight.max(); }
  bool holds_weight(int64_t code) const {
    return code >= weight.min() && code <= weight_max() && !(binary_weights() && code == 0);
  }
  int64_t max_count() const { return (int64_t{1} << count_bits) - 1; }
  // "4 x 8 PEs of 16 lanes, uint8 x int8 into 24 bits, saturate, bias preload"
  std::string describe() const;
  // The same as JSON text with a fixed order of keys; its content_hash names the configuration.
  std::string json() const;
};

// Throws InputError when no array of rtl_templates/ does what the description says.
ArrayParameters array_parameters(const Accelerator& accelerator, const PortWidths& widths = {});

// Throws InputError naming the layer when the array cannot run it: not a matmul, operands outside
// the array's formats, weights with a zero point, an accumulation of its own.
void check_layer_fits(const Accelerator& accelerator, const ArrayParameters& array,
                      const QuantizedLayer& layer, const TensorQuantization& ifmap);

}  // namespace widthwise
