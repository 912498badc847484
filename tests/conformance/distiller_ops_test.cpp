// Element-wise, matrix and float operators with quantized outputs against Distiller's, from
// conformance/distiller. What the accumulators hold is computed here, by definition.
#include <numeric>

#include "quant/linear_layer.h"
#include "tests/conformance/distiller_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

struct Array {
  Shape shape;
  std::vector<float> data;
  float at(const std::vector<int64_t>& index) const {
    int64_t i = 0;
    for (size_t axis = 0; axis < shape.size(); ++axis) i = i * shape[axis] + index[axis];
    return data[static_cast<size_t>(i)];
  }
};

struct Operand {
  Array codes;
  LinearScale scale;
  float shifted(size_t i) const { return codes.data[i] + scale.zero_point; }
};

class OperatorCase {
 public:
  OperatorCase(const Json& golden, const Json& c, Compat compat)
      : golden_(golden), c_(c), compat_(compat) {
    settings_.bits = c.value("bits", 8);
    settings_.mode = mode_of(c.at("mode"));
    settings_.compat = compat;
    settings_.approximate_bits = bits_of(c, "approx_bits");
    if (c.contains("clip")) settings_.clip = choice_of(c);
    settings_.clip.per_channel = false;
    op_ = c.contains("op") ? c.at("op") : c.at("kind");
    if (op_ == "relu" || op_ == "relu6") settings_.clip.half_range = true;
  }

  std::string difference() {
    if (op_ == "embedding") return embedding();
    if (op_.starts_with("weights_only")) return weights_only();
    if (const auto found = operands(); !found.empty()) return found;
    if (op_ == "add" || op_ == "mult" || op_ == "concat_dim1" || op_ == "matmul" || op_ == "bmm") {
      if (const auto found = accumulators(); !found.empty()) return found;
    } else if (const auto found = float_result(); !found.empty()) {
      return found;
    }
    return ofmap();
  }

 private:
  Array array(const Json& id) const {
    const Json& a = golden_.at("arrays").at(id.get<std::string>());
    return {a.at("shape"), singles(a.at("data"))};
  }
  Json statistics() const {
    if (c_.contains("stats"))
      return golden_.at("stats_table").at(c_.at("stats").get<std::string>());
    return golden_.at("bases").at(op_);
  }
  static std::string same(const char* what, const std::vector<float>& found,
                          const std::vector<float>& golden, double tolerance = 0) {
    return same_floats(what, found, Json(golden), tolerance);
  }

  // The old golden has lists in place of one object per input.
  Json input(size_t i) const {
    if (c_.contains("inputs")) return c_.at("inputs")[i];
    Json made = {{"x", c_.at("x")[i]}, {"x_q", c_.at("x_q")[i]}, {"embedded", false}};
    made["scale"] = {c_.at("in_scale")[i]};
    made["zero_point"] = {c_.at("in_zero_point")[i]};
    return made;
  }
  size_t input_count() const {
    return c_.contains("inputs") ? c_.at("inputs").size() : c_.at("x").size();
  }

  // Their codes; an embedded one brings the producer's quantization.
  std::string operands() {
    for (size_t i = 0; i < input_count(); ++i) {
      const Json in = input(i);
      Array x = array(in.at("x"));
      Operand operand;
      CodeRange codes = code_range(settings_.bits, settings_.mode, compat_);
      if (in.contains("q_min")) codes = {single(in.at("q_min")), single(in.at("q_max"))};
      if (in.contains("scale"))
        operand.scale = {single(in.at("scale")[0]), single(in.at("zero_point")[0])};
      const bool embedded = in.at("embedded"), fake = in.contains("x_dq");
      if (!embedded && c_.value("quantize_inputs", true)) {
        const auto q = activation_quantization(fallback_settings(settings_, false),
                                               statistics_of(statistics().at("inputs")[i]));
        if (q.scales[0] != operand.scale)
          return fmt::format("input {} has scale {}, golden {}", i, q.scales[0].scale,
                             operand.scale.scale);
      }
      const Array recorded = array(in.at(fake ? "x_dq" : "x_q"));
      for (float& value : x.data) {
        if (fake && (embedded || !c_.at("quantize_inputs"))) continue;  // as they are
        value = linear_quantize(value, operand.scale, codes);
        if (fake) value = linear_dequantize(value, operand.scale);
      }
      if (auto d = same("x_q", x.data, recorded.data); !d.empty()) return d;
      operand.codes = std::move(x);
      operands_.push_back(std::move(operand));
    }
    return "";
  }

  std::string accumulators() {
    const CodeRange acc = c_.contains("acc_min")
                              ? CodeRange{single(c_.at("acc_min")), single(c_.at("acc_max"))}
                              : accumulator_range(32);
    const LinearQuantization out =
        activation_quantization(settings_, statistics_of(statistics().at("output")));
    out_ = out;
    if (op_ == "add" || op_ == "concat_dim1") rescale();
    if (op_ == "mult") multiply();
    if (op_ == "matmul" || op_ == "bmm") matmul();
    const bool relu = settings_.clip.half_range;
    for (float& value : result_) {
      if (!(clamped_concat())) value = std::clamp(value, acc.q_min, acc.q_max);
      if (relu) value = std::max(value, 0.0F);
    }
    return same("acc", result_, array(c_.at("acc")).data);
  }

  bool clamped_concat() const { return compat_ == Compat::kDistiller03 && op_ == "concat_dim1"; }

  void rescale() {
    std::vector<std::vector<float>> all;
    for (size_t k = 0; k < operands_.size(); ++k) {
      const Operand& o = operands_[k];
      const float ratio =
          operand_ratio(out_.scales[0].scale, o.scale.scale, settings_.approximate_bits, compat_);
      if (c_.contains("input_rescale") && !c_.at("input_rescale").is_null()) {
        EXPECT_EQ(ratio, single(c_.at("input_rescale")[k]));
      }
      std::vector<float> values;
      for (const float q : o.codes.data) {
        values.push_back(clamped_concat()
                             ? concatenated_operand(q, o.scale, ratio, out_.scales[0], out_.codes)
                             : rescaled_operand(q, o.scale, ratio));
      }
      all.push_back(std::move(values));
    }
    if (op_ == "add") {
      result_ = all[0];
      for (size_t k = 1; k < all.size(); ++k) {
        for (size_t i = 0; i < result_.size(); ++i) result_[i] += all[k][i];
      }
      return;
    }
    const auto images = static_cast<size_t>(operands_[0].codes.shape[0]);
    for (size_t image = 0; image < images; ++image) {
      for (const auto& values : all) {
        const size_t each = values.size() / images;
        result_.insert(result_.end(), values.begin() + static_cast<std::ptrdiff_t>(image * each),
                       values.begin() + static_cast<std::ptrdiff_t>((image + 1) * each));
      }
    }
  }

  void multiply() {
    scale_ = 1;
    for (const Operand& o : operands_) scale_ *= o.scale.scale;
    result_.assign(operands_[0].codes.data.size(), 1);
    for (const Operand& o : operands_) {
      for (size_t i = 0; i < result_.size(); ++i) result_[i] *= o.shifted(i);
    }
  }

  void matmul() {
    const Operand &a = operands_[0], &b = operands_[1];
    scale_ = a.scale.scale * b.scale.scale;
    const Shape &sa = a.codes.shape, &sb = b.codes.shape;
    const int64_t rows = sa[sa.size() - 2], inner = sa.back(), cols = sb.back();
    const int64_t batches = a.codes.shape.size() == 3 ? sa[0] : 1;
    for (int64_t n = 0; n < batches; ++n) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t col = 0; col < cols; ++col) {
          float sum = 0;
          for (int64_t k = 0; k < inner; ++k)
            sum += a.shifted(static_cast<size_t>((n * rows + r) * inner + k)) *
                   b.shifted(static_cast<size_t>((n * inner + k) * cols + col));
          result_.push_back(sum);
        }
      }
    }
  }

  // Of a float operator on what its inputs stand for.
  std::string float_result() {
    const Array& x = operands_[0].codes;
    if (op_ == "relu" || op_ == "relu6") {
      for (const float value : x.data)
        result_.push_back(std::clamp(value, 0.0F, op_ == "relu" ? INFINITY : 6.0F));
    } else {
      const int64_t rows = x.shape[2], cols = x.shape[3];
      for (int64_t plane = 0; plane < x.shape[0] * x.shape[1]; ++plane) {
        for (int64_t r = 0; r + 1 < rows; r += 2) {
          for (int64_t col = 0; col + 1 < cols; col += 2) {
            const float* at = x.data.data() + plane * rows * cols + r * cols + col;
            result_.push_back(op_ == "maxpool2" ? std::max({at[0], at[1], at[cols], at[cols + 1]})
                                                : (at[0] + at[1] + at[cols] + at[cols + 1]) / 4);
          }
        }
      }
    }
    scale_ = 1;
    TensorStatistics record = statistics_of(statistics().at("output"));
    if (op_ == "relu" || op_ == "relu6")
      record = relu_statistics(statistics_of(statistics().at("inputs")[0]), record,
                               settings_.clip.clipping);
    out_ = activation_quantization(settings_, record);
    const auto recorded = array(c_.at("float_result")).data;
    const std::string found = same("float_result", result_, recorded, op_ == "avgpool2" ? 1e-6 : 0);
    result_ = recorded;
    return found;
  }

  std::string ofmap() {
    if (out_.scales[0] !=
        LinearScale{single(c_.at("out_scale")[0]), single(c_.at("out_zero_point")[0])})
      return fmt::format("out_scale {} zero point {}", out_.scales[0].scale,
                         out_.scales[0].zero_point);
    float ratio = 1;
    const bool rescaled = op_ == "add" || op_ == "concat_dim1";
    const bool integers = rescaled || op_ == "mult" || op_ == "matmul" || op_ == "bmm";
    if (!integers) ratio = out_.scales[0].scale;
    if (!rescaled && integers)
      ratio = requantize_ratio(out_.scales[0].scale, scale_, settings_.approximate_bits);
    if (auto d = same_floats("requant_scale", {ratio}, c_.at("requant_scale")); !d.empty())
      return d;
    for (float& value : result_) {
      if (!clamped_concat()) value = linear_requantize(value, ratio, out_.scales[0], out_.codes);
    }
    if (auto d = same("y_q", result_, array(c_.at("y_q")).data); !d.empty()) return d;
    if (!c_.contains("y_f")) return "";
    for (float& value : result_) value = linear_dequantize(value, out_.scales[0]);
    return same("y_f", result_, array(c_.at("y_f")).data);
  }

  std::string check_weights(const QuantizedWeights& made) {
    const auto scales = scales_of(made.quantization.scales),
               zero_points = zero_points_of(made.quantization.scales);
    if (auto d = same_floats("w_scale", scales, c_.at("w_scale")); !d.empty()) return d;
    if (auto d = same_floats("w_zero_point", zero_points, c_.at("w_zero_point")); !d.empty())
      return d;
    return "";
  }

  std::string weights_only() {
    const Array w = array(c_.at("w")), b = array(c_.at("b"));
    QuantizedWeights made = quantize_weights(w.data, w.shape[0], settings_.bits, settings_.mode,
                                             c_.at("per_channel"), compat_);
    if (auto d = check_weights(made); !d.empty()) return d;
    if (auto d = same("w_dq", dequantized(made), array(c_.at("w_dq")).data); !d.empty()) return d;
    const int bits = c_.at("bits_accum");
    const BaseBias bias =
        dynamic_base_bias(b.data, bits, bits, QuantizationMode::kSymmetric, compat_);
    if (auto d = same_floats("b_scale", {bias.scale.scale}, c_.at("b_scale")); !d.empty()) return d;
    std::vector<float> real;
    for (const float q : bias.codes) real.push_back(linear_dequantize(q, bias.scale));
    return same("b_dq", real, array(c_.at("b_dq")).data);
  }

  // The table's range, or that of the record's output.
  std::string embedding() {
    const Array w = array(c_.at("w"));
    RealRange range = clipped_range(w.data, 1, {}, settings_.bits, settings_.mode);
    if (!c_.at("stats").is_null())
      range = clipped_range(statistics_of(statistics().at("output")), settings_.clip,
                            settings_.bits, settings_.mode);
    const LinearScale scale = scale_of_range(range, settings_.bits, settings_.mode, compat_);
    if (scale != LinearScale{single(c_.at("w_scale")[0]), single(c_.at("w_zero_point")[0])})
      return "w_scale";
    std::vector<float> codes, rows;
    for (const float value : w.data)
      codes.push_back(
          linear_quantize(value, scale, code_range(settings_.bits, settings_.mode, compat_)));
    if (auto d = same("w_q", codes, array(c_.at("w_q")).data); !d.empty()) return d;
    const auto width = static_cast<size_t>(w.shape[1]);
    for (const float index : array(c_.at("indices")).data) {
      for (size_t i = 0; i < width; ++i)
        rows.push_back(linear_dequantize(codes[static_cast<size_t>(index) * width + i], scale));
    }
    return same("y_f", rows, array(c_.at("y_f")).data);
  }

  const Json &golden_, &c_;
  Compat compat_;
  ActivationSettings settings_;
  std::string op_;
  std::vector<Operand> operands_;
  LinearQuantization out_;
  float scale_ = 1;  // of the accumulator
  std::vector<float> result_;
};

TEST(DistillerGolden, Ops) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "ops.json");
  GoldenTally tally("ops");
  for (const Json& c : golden.at("cases"))
    tally.add(c.at("id"), OperatorCase(golden, c, Compat::kDistiller04).difference());
}

TEST(DistillerGolden, LegacyOps) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "legacy_v032.json");
  GoldenTally tally("legacy_v032 operators");
  for (const Json& c : golden.at("cases")) {
    if (c.at("kind") != "layer" && c.at("kind") != "tensor")
      tally.add(c.at("id"), OperatorCase(golden, c, Compat::kDistiller03).difference());
  }
}

}  // namespace
}  // namespace widthwise
