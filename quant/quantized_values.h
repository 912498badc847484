#pragma once
#include <memory>

#include "quant/model_builder.h"
#include "quant/quantized_network.h"

namespace widthwise {

// How a file says that a value is quantized. Names of what it adds begin with the value's.
class QuantizedValues {
 public:
  virtual ~QuantizedValues() = default;
  // Real `from` becomes `to`, which holds codes as real numbers. node: name of the one that rounds;
  // empty: of `to`.
  virtual void quantize(const std::string& from, const std::string& to,
                        const TensorQuantization& quantization, const std::string& node = {}) = 0;
  // Codes of a layer's weights in this shape, which has the output channels along an axis: the
  // first or the last. Returns the real value.
  virtual std::string weights(const QuantizedLayer& layer, const Shape& shape, size_t axis) = 0;
  // Codes of a layer's bias at scale ifmap * weight. Returns the real value.
  virtual std::string bias(const QuantizedLayer& layer, float ifmap_scale) = 0;
};

// QuantizeLinear, a Clip that states fewer bits than 8, DequantizeLinear.
std::unique_ptr<QuantizedValues> qcdq_values(ModelBuilder& model);
// Quant of QONNX, on real numbers that are codes already where they are constants.
std::unique_ptr<QuantizedValues> qonnx_values(ModelBuilder& model);

}  // namespace widthwise
