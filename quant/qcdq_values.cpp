#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "quant/quantized_values.h"

namespace widthwise {
namespace {

class QcdqValues : public QuantizedValues {
 public:
  explicit QcdqValues(ModelBuilder& model) : model_(model) {}

  void quantize(const std::string& from, const std::string& to, const TensorQuantization& q,
                const std::string& node) override {
    const std::string scale = to + "_scale", zero_point = to + "_zero_point", codes = to + "_codes";
    model_.add_float(scale, q.scale);
    model_.add_codes(zero_point, q.format, {}, {q.zero_point});
    model_.add_node("QuantizeLinear", node.empty() ? to + "_QuantizeLinear" : node,
                    {from, scale, zero_point}, {codes});
    model_.add_node("DequantizeLinear", to + "_DequantizeLinear",
                    {clip(codes, q.format), scale, zero_point}, {to});
  }

  std::string weights(const QuantizedLayer& layer, const Shape& shape, size_t axis) override {
    const std::string codes = layer.name + "_weight_codes", scale = layer.name + "_weight_scale",
                      zero_point = layer.name + "_weight_zero_point",
                      value = layer.name + "_weight";
    const auto& zero_points_of = layer.weight_zero_points;
    if (std::adjacent_find(zero_points_of.begin(), zero_points_of.end(), std::not_equal_to<>()) !=
        zero_points_of.end()) {
      throw InputError({.file = "",
                        .where = "layer '" + layer.name + "'",
                        .field = "weight",
                        .problem = "has zero points that differ by channel, which ONNX Runtime "
                                   "refuses in a convolution",
                        .fix = "quantize asymmetric weights per tensor (--per-tensor), or make "
                               "them signed and symmetric"});
    }
    const bool per_channel = layer.weight_scales.size() > 1;
    Shape extent;
    if (per_channel) extent.push_back(std::ssize(layer.weight_scales));
    std::vector<int32_t> zero_points;
    for (size_t i = 0; i < layer.weight_scales.size(); ++i)
      zero_points.push_back(layer.weight_zero_point(static_cast<int64_t>(i)));
    model_.add_codes(codes, layer.weight_format, shape, layer.weights);
    model_.add_constant(scale, Tensor::floats(extent, layer.weight_scales));
    model_.add_codes(zero_point, layer.weight_format, extent, zero_points);
    auto* node = model_.add_node("DequantizeLinear", value + "_DequantizeLinear",
                                 {clip(codes, layer.weight_format), scale, zero_point}, {value});
    if (per_channel) ModelBuilder::set_integer(node, "axis", static_cast<int64_t>(axis));
    return value;
  }

  std::string bias(const QuantizedLayer& layer, float ifmap_scale) override {
    const std::string codes = layer.name + "_bias_codes", scale = layer.name + "_bias_scale",
                      value = layer.name + "_bias";
    const Shape channels = {std::ssize(layer.bias)};
    std::vector<float> scales;
    for (int64_t oc = 0; oc < channels[0]; ++oc)
      scales.push_back(ifmap_scale * layer.weight_scale(oc));
    model_.add_constant(codes, Tensor(ElementType::kInt32, channels, layer.bias));
    model_.add_constant(scale, Tensor::floats(channels, scales));
    auto* node =
        model_.add_node("DequantizeLinear", value + "_DequantizeLinear", {codes, scale}, {value});
    ModelBuilder::set_integer(node, "axis", 0);
    return value;
  }

 private:
  // 8-bit codes, and where they stand for fewer bits a Clip that says so. Returns the clipped
  // value.
  std::string clip(const std::string& value, IntegerFormat format) {
    if (format.bits > 8) {
      throw InputError({.file = "",
                        .where = "tensor '" + value + "'",
                        .field = "bits",
                        .problem = fmt::format("are {}, a QCDQ file holds 2..8", format.bits),
                        .fix = "quantize to 8 bits or fewer"});
    }
    if (format.bits == 8) return value;
    const std::string low = value + "_min", high = value + "_max", clipped = value + "_clipped";
    model_.add_codes(low, format, {}, {static_cast<int32_t>(format.min())});
    model_.add_codes(high, format, {}, {static_cast<int32_t>(format.max())});
    model_.add_node("Clip", value + "_Clip", {value, low, high}, {clipped});
    return clipped;
  }

  ModelBuilder& model_;
};

}  // namespace

std::unique_ptr<QuantizedValues> qcdq_values(ModelBuilder& model) {
  return std::make_unique<QcdqValues>(model);
}

}  // namespace widthwise
