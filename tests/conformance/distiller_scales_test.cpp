// Scales, zero points and codes against Distiller's, from conformance/distiller.
#include "tests/conformance/distiller_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

// Ranges of the whole tensor, or of each part along its first axis.
std::vector<LinearScale> tensor_scales(const std::vector<float>& values, int64_t samples,
                                       const ClippingChoice& choice, int bits,
                                       QuantizationMode mode, bool per_channel, Compat compat) {
  const bool parts = per_channel && choice.clipping == Clipping::kNone;
  const size_t count = parts ? static_cast<size_t>(samples) : 1, each = values.size() / count;
  std::vector<LinearScale> scales;
  for (size_t i = 0; i < count; ++i) {
    const auto own = std::span(values).subspan(i * each, each);
    scales.push_back(scale_of_range(clipped_range(own, parts ? 1 : samples, choice, bits, mode),
                                    bits, mode, compat));
  }
  return scales;
}

// The codes with the recorded scales: those of our own differ in the last bit where they come from
// a sum.
std::string check_tensor(const Json& c, const std::vector<float>& values, int64_t samples,
                         const Json& codes, Compat compat) {
  const QuantizationMode mode = mode_of(c.at("mode"));
  const int bits = c.at("bits");
  const ClippingChoice choice = choice_of(c);
  const bool per_channel = c.value("per_channel", false);
  const auto scales = tensor_scales(values, samples, choice, bits, mode, per_channel, compat);
  const bool exact = choice.clipping == Clipping::kNone;
  if (auto d = same_floats("scale", scales_of(scales), c.at("scale"), exact ? 0 : 2e-6); !d.empty())
    return d;
  if (auto d = same_floats("zero_point", zero_points_of(scales), c.at("zero_point")); !d.empty())
    return d;
  const CodeRange range = code_range(bits, mode, compat);
  if (range != CodeRange{single(c.at("q_min")), single(c.at("q_max"))}) return "code range";
  const size_t each = values.size() / scales.size();
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t part = i / each;
    const LinearScale recorded{single(c.at("scale")[part]), single(c.at("zero_point")[part])};
    const float q = linear_quantize(values[i], recorded, range);
    if (q != single(codes[i])) return fmt::format("q[{}] is {}, golden {}", i, q, codes[i].dump());
    if (!c.contains("dequant")) continue;
    const float x = linear_dequantize(q, recorded);
    if (x != single(c.at("dequant")[i]))
      return fmt::format("dequant[{}] is {}, golden {}", i, x, c.at("dequant")[i].dump());
  }
  return "";
}

TEST(DistillerGolden, TensorQuant) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "tensor_quant.json");
  GoldenTally tally("tensor_quant");
  for (const Json& c : golden.at("cases")) {
    const Json& tensor = golden.at("tensors").at(c.at("tensor").get<std::string>());
    const auto values = singles(tensor.at("data"));
    if (c.contains("error")) {
      const bool refused = clipping_of(c.at("clip")) == Clipping::kNStd && c.at("per_channel");
      tally.add(c.at("id"), refused ? "" : "should be refused");
      continue;
    }
    tally.add(c.at("id"),
              check_tensor(c, values, tensor.at("shape")[0], c.at("q"), Compat::kDistiller04));
  }
}

TEST(DistillerGolden, StatsQuant) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "stats_quant.json");
  GoldenTally tally("stats_quant");
  for (const Json& c : golden.at("cases")) {
    const QuantizationMode mode = mode_of(c.at("mode"));
    const int bits = c.at("bits");
    const auto record = statistics_of(golden.at("stats").at(c.at("stats").get<std::string>()));
    LinearScale scale = scale_of_range(clipped_range(record, choice_of(c), bits, mode), bits, mode,
                                       Compat::kDistiller04);
    if (const auto m = bits_of(c, "approx_bits"))
      scale.scale = approximate_scale(scale.scale, *m).value;
    const auto scales = std::vector{scale};
    std::string difference = same_floats("scale", scales_of(scales), c.at("scale"));
    if (difference.empty())
      difference = same_floats("zero_point", zero_points_of(scales), c.at("zero_point"));
    tally.add(c.at("id"), difference);
  }
}

TEST(DistillerGolden, ScaleApprox) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "scale_approx.json");
  GoldenTally tally("scale_approx");
  for (const Json& c : golden.at("cases")) {
    const ScaleApproximation a = approximate_scale(single(c.at("scale")), c.at("mult_bits"));
    const bool same = a.multiplier == single(c.at("mult")) && a.shift == c.at("shift") &&
                      a.value == single(c.at("approx"));
    tally.add(c.at("id"), same ? "" : fmt::format("is {} / 2^{}", a.multiplier, a.shift));
  }
}

TEST(DistillerGolden, LegacyTensors) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "legacy_v032.json");
  GoldenTally tally("legacy_v032 tensors");
  for (const Json& c : golden.at("cases")) {
    if (c.at("kind") != "tensor") continue;
    const Json& tensor = golden.at("arrays").at(c.at("x").get<std::string>());
    if (c.contains("error")) {
      tally.add(c.at("id"), "error " + c.dump());
      continue;
    }
    const Json& codes = golden.at("arrays").at(c.at("q").get<std::string>()).at("data");
    tally.add(c.at("id"), check_tensor(c, singles(tensor.at("data")), tensor.at("shape")[0], codes,
                                       Compat::kDistiller03));
  }
}

}  // namespace
}  // namespace widthwise
