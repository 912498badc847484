#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"
#include "quant/quantized_values.h"

namespace widthwise {
namespace {

constexpr const char* kDomain = "qonnx.custom_op.general";
constexpr int kVersion = 1;
constexpr int kBiasBits = 32;

class QonnxValues : public QuantizedValues {
 public:
  explicit QonnxValues(ModelBuilder& model) : model_(model) {
    model_.import_domain(kDomain, kVersion);
  }

  void quantize(const std::string& from, const std::string& to, const TensorQuantization& q,
                const std::string& node) override {
    model_.add_float(to + "_scale", q.scale);
    model_.add_float(to + "_zero_point", static_cast<float>(q.zero_point));
    add_quant(from, to, q.format.bits, q.format.is_signed, node);
  }

  std::string weights(const QuantizedLayer& layer, const Shape& shape, size_t axis) override {
    const std::string value = layer.name + "_weight";
    const int64_t channels = shape[axis];
    const auto run = axis == 0 ? std::ssize(layer.weights) / channels : 1;
    std::vector<float> reals;
    for (size_t i = 0; i < layer.weights.size(); ++i) {
      const int64_t oc = static_cast<int64_t>(i) / run % channels;
      reals.push_back(static_cast<float>(layer.weights[i] - layer.weight_zero_point(oc)) *
                      layer.weight_scale(oc));
    }
    Shape extent;
    if (layer.weight_scales.size() > 1) {
      extent.assign(shape.size(), 1);
      extent[axis] = channels;
    }
    std::vector<float> zero_points;
    for (size_t i = 0; i < layer.weight_scales.size(); ++i)
      zero_points.push_back(static_cast<float>(layer.weight_zero_point(static_cast<int64_t>(i))));
    model_.add_constant(value + "_real", Tensor::floats(shape, reals));
    model_.add_constant(value + "_scale", Tensor::floats(extent, layer.weight_scales));
    model_.add_constant(value + "_zero_point", Tensor::floats(extent, zero_points));
    add_quant(value + "_real", value, layer.weight_format.bits, layer.weight_format.is_signed);
    return value;
  }

  std::string bias(const QuantizedLayer& layer, float ifmap_scale) override {
    const std::string value = layer.name + "_bias";
    const Shape channels = {std::ssize(layer.bias)};
    std::vector<float> reals, scales;
    for (int64_t oc = 0; oc < channels[0]; ++oc) {
      const int32_t code = layer.bias[static_cast<size_t>(oc)];
      scales.push_back(ifmap_scale * layer.weight_scale(oc));
      const auto real = real_of(code, scales.back());
      if (!real) {
        throw InputError({.file = "",
                          .where = "layer '" + layer.name + "'",
                          .field = "bias",
                          .problem = fmt::format("is {} in channel {}, which no float32 divided by "
                                                 "its scale gives: QONNX holds about 2^23",
                                                 code, oc),
                          .fix = "write QDQ, whose biases are integers"});
      }
      reals.push_back(*real);
    }
    model_.add_constant(value + "_real", Tensor::floats(channels, reals));
    model_.add_constant(value + "_scale", Tensor::floats(channels, scales));
    model_.add_float(value + "_zero_point", 0);
    add_quant(value + "_real", value, kBiasBits, true);
    return value;
  }

 private:
  // A real number that Quant, which divides in float32, takes to the code.
  static std::optional<float> real_of(int32_t code, float scale) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const float product = static_cast<float>(code) * scale;
    for (const float real :
         {product, std::nextafter(product, kInfinity), std::nextafter(product, -kInfinity)}) {
      if (static_cast<double>(std::nearbyint(real / scale)) == code) return real;
    }
    return std::nullopt;
  }

  // Scale and zero point are constants <to>_scale and <to>_zero_point.
  void add_quant(const std::string& from, const std::string& to, int bits, bool is_signed,
                 const std::string& name = {}) {
    model_.add_float(to + "_bits", static_cast<float>(bits));
    auto* node = model_.add_node("Quant", name.empty() ? to + "_Quant" : name,
                                 {from, to + "_scale", to + "_zero_point", to + "_bits"}, {to});
    node->set_domain(kDomain);
    ModelBuilder::set_integer(node, "signed", is_signed);
    ModelBuilder::set_integer(node, "narrow", 0);
    ModelBuilder::set_text(node, "rounding_mode", "ROUND");
  }

  ModelBuilder& model_;
};

}  // namespace

std::unique_ptr<QuantizedValues> qonnx_values(ModelBuilder& model) {
  return std::make_unique<QonnxValues>(model);
}

}  // namespace widthwise
