// Conv and Linear layers, every stage, against Distiller's, from conformance/distiller.
#include "quant/linear_layer.h"
#include "sim/matmul_path.h"
#include "sim/reference.h"
#include "tests/conformance/distiller_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

struct Base {
  MatmulWorkload workload;
  int64_t images = 1;
  std::vector<float> x, weights, bias;
};

Base base_of(const Json& golden, const Json& base) {
  const auto array = [&](const char* key) -> const Json& {
    return golden.at("arrays").at(base.at(key).get<std::string>());
  };
  Base result;
  result.x = singles(array("x").at("data"));
  result.weights = singles(array("w").at("data"));
  if (!base.at("b").is_null()) result.bias = singles(array("b").at("data"));
  const Shape x = array("x").at("shape"), w = array("w").at("shape");
  result.images = x[0];
  Window& window = result.workload.window;
  window.ifmap_channels = x[1];
  window.ofmap_channels = w[0];
  if (x.size() == 2) return result;
  const auto pair = [&](const char* key) {
    return base.contains(key) ? base.at(key).get<std::vector<int64_t>>()
                              : std::vector<int64_t>{1, 1};
  };
  const auto stride = pair("stride"), pad = pair("padding"), dilation = pair("dilation");
  result.workload.groups = base.at("groups");
  window.ifmap_rows = x[2];
  window.ifmap_cols = x[3];
  window.kernel_rows = w[2];
  window.kernel_cols = w[3];
  window.stride_rows = stride[0];
  window.stride_cols = stride[1];
  window.dilation_rows = dilation[0];
  window.dilation_cols = dilation[1];
  window.pad_top = window.pad_bottom = pad[0];
  window.pad_left = window.pad_right = pad[1];
  const auto extent = [](int64_t in, int64_t kernel, int64_t s, int64_t p, int64_t d) {
    return (in + 2 * p - d * (kernel - 1) - 1) / s + 1;
  };
  window.ofmap_rows = extent(x[2], w[2], stride[0], pad[0], dilation[0]);
  window.ofmap_cols = extent(x[3], w[3], stride[1], pad[1], dilation[1]);
  return result;
}

// Runs one case stage by stage; every stage continues from the recorded scales, so that one
// difference shows once.
class LayerCase {
 public:
  LayerCase(const Json& golden, const Json& c, Compat compat)
      : golden_(golden),
        c_(c),
        base_json_(golden.at("bases").at(c.at("base").get<std::string>())),
        base_(base_of(golden, base_json_)),
        compat_(compat) {
    settings_.bits = c.at("bits_acts");
    settings_.mode = mode_of(c.contains("mode") ? c.at("mode") : c.at("mode_acts"));
    settings_.approximate_bits = bits_of(c, "approx_bits");
    settings_.compat = compat;
    settings_.clip = choice_of(c);
    settings_.clip.per_channel = false;
    weight_mode_ = mode_of(c.contains("mode") ? c.at("mode") : c.at("mode_wts"));
    dynamic_ = c.at("dynamic");
    relu_ = c.value("relu_on_acc", false);
  }

  std::string difference() {
    for (const auto stage :
         {&LayerCase::ifmap, &LayerCase::weights, &LayerCase::accumulators, &LayerCase::ofmap}) {
      if (std::string found = (this->*stage)(); !found.empty()) return found;
    }
    return "";
  }

 private:
  const Json& data(const char* key) const {
    return golden_.at("arrays").at(c_.at(key).get<std::string>()).at("data");
  }
  // The tolerance of what comes from sums of a tensor.
  double tolerance() const {
    return dynamic_ && settings_.clip.clipping > Clipping::kAverage ? 2e-6 : 0;
  }
  TensorStatistics record(const char* key) const {
    return statistics_of(base_json_.at("stats").at(key));
  }
  std::string check(const char* scale, const char* zero_point, const LinearQuantization& q) const {
    if (c_.contains(scale)) {
      if (auto d = same_floats(scale, {q.scales[0].scale}, c_.at(scale), tolerance()); !d.empty())
        return d;
    }
    return same_floats(zero_point, {q.scales[0].zero_point}, c_.at(zero_point));
  }
  template <class Found>
  static std::string same_codes(const char* what, const std::vector<Found>& found,
                                const Json& data) {
    if (found.size() != data.size())
      return fmt::format("{}: {} values, golden {}", what, found.size(), data.size());
    for (size_t i = 0; i < found.size(); ++i) {
      if (static_cast<int64_t>(found[i]) != data[i].get<int64_t>())
        return fmt::format("{}[{}] is {}, golden {}", what, i, found[i], data[i].dump());
    }
    return "";
  }

  std::string ifmap() {
    const ActivationSettings own = fallback_settings(settings_, dynamic_);
    ifmap_ = dynamic_ ? activation_quantization(own, base_.x, base_.images)
                      : activation_quantization(own, record("input"));
    if (auto d = check("in_scale", "in_zero_point", ifmap_); !d.empty()) return d;
    if (c_.contains("in_q_min") &&
        ifmap_.codes != CodeRange{single(c_.at("in_q_min")), single(c_.at("in_q_max"))})
      return "code range of the ifmap";
    ifmap_.scales[0].scale = single(c_.at("in_scale")[0]);
    for (const float x : base_.x)
      x_q_.push_back(static_cast<int32_t>(linear_quantize(x, ifmap_.scales[0], ifmap_.codes)));
    return same_codes("x_q", x_q_, data("x_q"));
  }

  std::string weights() {
    weights_ = quantize_weights(base_.weights, base_.workload.window.ofmap_channels,
                                c_.at("bits_wts"), weight_mode_, c_.at("per_channel"), compat_);
    const auto scales = scales_of(weights_.quantization.scales),
               zero_points = zero_points_of(weights_.quantization.scales);
    if (auto d = same_floats("w_scale", scales, c_.at("w_scale")); !d.empty()) return d;
    if (auto d = same_floats("w_zero_point", zero_points, c_.at("w_zero_point")); !d.empty())
      return d;
    return same_codes("w_q", weights_.codes, data("w_q"));
  }

  std::vector<int64_t> bias_codes(const std::vector<float>& scales) const {
    const int bits = c_.at("bits_accum");
    if (!dynamic_) return static_bias(base_.bias, scales, bits, compat_);
    const BaseBias base =
        dynamic_base_bias(base_.bias, bits, c_.at("bits_wts"), weight_mode_, compat_);
    if (auto d = same_floats("b_scale", {base.scale.scale}, c_.at("b_scale")); !d.empty())
      ADD_FAILURE() << d;
    if (auto d = same_floats("base_b_q", base.codes, c_.at("base_b_q")); !d.empty())
      ADD_FAILURE() << d;
    return dynamic_bias(base, scales, bits, settings_.approximate_bits, compat_);
  }

  std::string accumulators() {
    scales_ = accumulator_scales(ifmap_.scales[0], weights_.quantization,
                                 settings_.approximate_bits, compat_);
    if (auto d = same_floats("accum_scale", scales_, c_.at("accum_scale")); !d.empty()) return d;
    std::vector<int64_t> bias;
    if (!base_.bias.empty()) {
      bias = bias_codes(scales_);
      if (auto d = same_codes("b_q", bias, c_.at("b_q")); !d.empty()) return d;
    }
    std::vector<int32_t> none(static_cast<size_t>(base_.workload.window.ofmap_channels)),
        zero_points;
    for (const LinearScale& s : weights_.quantization.scales)
      zero_points.push_back(static_cast<int32_t>(-s.zero_point));
    const auto elements = static_cast<size_t>(base_.workload.window.ifmap_elements());
    const auto pixels = static_cast<size_t>(base_.workload.window.ofmap_pixels());
    for (size_t image = 0; image < static_cast<size_t>(base_.images); ++image) {
      const auto sums =
          reference_matmul(base_.workload, std::span(x_q_).subspan(image * elements, elements),
                           static_cast<int32_t>(-ifmap_.scales[0].zero_point), weights_.codes, none,
                           exact_accumulation({}), zero_points);
      for (size_t i = 0; i < sums.accumulators.size(); ++i)
        raw_.push_back(sums.accumulators[i] + (bias.empty() ? 0 : bias[i / pixels]));
    }
    if (auto d = same_codes("acc_raw", raw_, data("acc_raw")); !d.empty()) return d;
    const int bits = c_.at("bits_accum");
    const int64_t most = (int64_t{1} << (bits - 1)) - 1;
    int64_t saturated = 0;
    for (int64_t& sum : raw_) {
      const int64_t fitted = std::clamp(sum, -most - 1, most);
      saturated += fitted != sum;
      sum = fitted;
    }
    if (auto d = same_codes("acc_sat", raw_, data("acc_sat")); !d.empty()) return d;
    if (saturated != c_.at("n_saturated")) return fmt::format("{} saturated", saturated);
    for (int64_t& sum : raw_) sum = relu_ ? std::max<int64_t>(sum, 0) : sum;
    return "";
  }

  std::string ofmap() {
    const auto pixels = static_cast<size_t>(base_.workload.window.ofmap_pixels());
    const auto channels = static_cast<size_t>(base_.workload.window.ofmap_channels);
    const auto scale_at = [&](size_t i) {
      return scales_.size() == 1 ? scales_[0] : scales_[i / pixels % channels];
    };
    if (dynamic_) {
      std::vector<float> real;
      for (size_t i = 0; i < raw_.size(); ++i)
        real.push_back(linear_dequantize(static_cast<float>(raw_[i]), {scale_at(i), 0}));
      ofmap_ = activation_quantization(settings_, real, base_.images);
    } else {
      ofmap_ = activation_quantization(settings_, record(relu_ ? "output_relu" : "output"));
    }
    if (auto d = check("out_scale", "out_zero_point", ofmap_); !d.empty()) return d;
    if (c_.contains("out_scale")) ofmap_.scales[0].scale = single(c_.at("out_scale")[0]);
    std::vector<float> ratios;
    for (const float scale : scales_)
      ratios.push_back(requantize_ratio(ofmap_.scales[0].scale, scale, settings_.approximate_bits));
    if (auto d = same_floats("requant_scale", ratios, c_.at("requant_scale"),
                             c_.contains("out_scale") ? 0 : tolerance());
        !d.empty())
      return d;
    ratios = singles(c_.at("requant_scale"));
    std::vector<float> y;
    for (size_t i = 0; i < raw_.size(); ++i)
      y.push_back(linear_requantize(static_cast<float>(raw_[i]),
                                    ratios.size() == 1 ? ratios[0] : ratios[i / pixels % channels],
                                    ofmap_.scales[0], ofmap_.codes));
    if (auto d = same_codes("y_q", y, data("y_q")); !d.empty()) return d;
    if (!c_.contains("y_f")) return "";
    for (float& q : y) q = linear_dequantize(q, ofmap_.scales[0]);
    return same_floats("y_f", y, data("y_f"));
  }

  const Json &golden_, &c_, &base_json_;
  Base base_;
  Compat compat_;
  ActivationSettings settings_;
  QuantizationMode weight_mode_;
  bool dynamic_ = false, relu_ = false;
  LinearQuantization ifmap_, ofmap_;
  QuantizedWeights weights_;
  std::vector<int32_t> x_q_;
  std::vector<float> scales_;
  std::vector<int64_t> raw_;
};

TEST(DistillerGolden, Layers) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "layers.json");
  GoldenTally tally("layers");
  for (const Json& c : golden.at("cases"))
    tally.add(c.at("id"), LayerCase(golden, c, Compat::kDistiller04).difference());
}

TEST(DistillerGolden, LegacyLayers) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "legacy_v032.json");
  GoldenTally tally("legacy_v032 layers");
  for (const Json& c : golden.at("cases")) {
    if (c.at("kind") == "layer")
      tally.add(c.at("id"), LayerCase(golden, c, Compat::kDistiller03).difference());
  }
}

}  // namespace
}  // namespace widthwise
