#include <gmock/gmock.h>

#include "core/error.h"
#include "quant/ptq_config_yaml.h"

namespace widthwise {
namespace {

using testing::HasSubstr;

template <class Run>
std::string refusal(Run&& run) {
  try {
    run();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}
std::string config_refusal(const std::string& yaml) {
  return refusal([&] { read_ptq_config(yaml, "c.yaml"); });
}
std::string overrides_refusal(const std::string& yaml) {
  return refusal([&] { read_overrides(yaml, "o.yaml"); });
}

TEST(PtqConfig, ReadsEveryKey) {
  const PtqOptions options = read_ptq_config(R"(
pruners:
  some: {class: AutomatedGradualPruner, final_sparsity: 0.5}
quantizers:
  mine:
    class: PostTrainLinearQuantizer
    bits_activations: 6
    bits_parameters: null
    bits_accum: 24
    mode: {activations: ASYMMETRIC_UNSIGNED, weights: SYMMETRIC_RESTRICTED}
    model_activation_stats: stats.yaml
    per_channel_wts: True
    clip_acts: N_STD
    clip_n_stds: 2.5
    scale_approx_mult_bits: 12
    inputs_quant_auto_fallback: false
    save_fp_weights: true
    overrides:
      stem: {bits_weights: 8, clip_acts: KL, input_overrides: {0: {from_output: True}}}
      block[0-9]+\.add: {bits_activations: null, mode: SYMMETRIC}
policies:
  - {lr_scheduler: {instance_name: x}, starting_epoch: 0}
)",
                                             "c.yaml");
  PtqOptions expected;
  expected.bits_activations = 6;
  expected.bits_weights = std::nullopt;
  expected.bits_accum = 24;
  expected.mode_activations = QuantizationMode::kAsymmetricUnsigned;
  expected.mode_weights = QuantizationMode::kSymmetricRestricted;
  expected.statistics_file = "stats.yaml";
  expected.per_channel = true;
  expected.clip_acts = Clipping::kNStd;
  expected.clip_n_stds = 2.5;
  expected.scale_approx_bits = 12;
  expected.inputs_quant_auto_fallback = false;
  expected.save_fp_weights = true;
  ModuleOverride stem, add;
  stem.bits_weights.emplace(8);
  stem.clip_acts = Clipping::kKl;
  stem.input_overrides[0].from_output = true;
  add.bits_activations.emplace(std::nullopt);
  add.mode.emplace();
  expected.overrides = {{"stem", stem}, {"block[0-9]+\\.add", add}};
  EXPECT_EQ(options, expected);
  EXPECT_EQ(options.overrides[1].line, 20);
}

TEST(PtqConfig, WhatIsWrittenReadsBackEqual) {
  PtqOptions options;
  EXPECT_EQ(read_ptq_config(ptq_config_yaml(options), "c.yaml"), options);
  options.bits_activations = std::nullopt;
  options.bits_weights = 3;
  options.bits_accum = 17;
  options.mode_weights = QuantizationMode::kAsymmetricSigned;
  options.clip_acts = Clipping::kMse;
  options.clip_n_stds = 0.1;
  options.clip_half_range = options.per_channel = options.save_fp_weights = true;
  options.also_clip_weights = options.dynamic = true;
  options.inputs_quant_auto_fallback = false;
  options.scale_approx_bits = 7;
  options.fpq_module = 64;
  options.no_clip_layers = {"fc", "a: b, {c}", "[0-9]"};
  options.no_quant_layers = {"#x", "null"};
  options.statistics_file = "a folder/stats #1.yaml";
  ModuleOverride every;
  every.bits_activations.emplace(2);
  every.bits_weights.emplace(std::nullopt);
  every.bits_bias.emplace(16);
  every.clip_acts = Clipping::kPercentile;
  every.clip_n_stds = 1.0 / 3;
  every.clip_half_range = false;
  every.scale_approx_mult_bits.emplace(std::nullopt);
  every.input_overrides[1] = {.bits_activations = 4,
                              .mode = QuantizationMode::kAsymmetricSigned,
                              .clip_acts = Clipping::kNStd,
                              .clip_n_stds = 3};
  every.input_overrides[0].from_output = true;
  every.fpq_module.emplace(16);
  every.fp16 = every.fake = every.make_identity = true;
  every.quantize_inputs = every.per_channel_wts = every.inputs_quant_auto_fallback = false;
  every.mode = {QuantizationMode::kSymmetricRestricted, QuantizationMode::kSymmetric};
  size_t keys = 0;
  visit_keys(every, [&](const char*, const auto&) { ++keys; });
  EXPECT_EQ(given_keys(every).size(), keys);
  options.overrides = {{"[", every}, {"conv(1|2)", {}}, {"- a: '\"b\\", every}, {".*", every}};
  EXPECT_EQ(read_ptq_config(ptq_config_yaml(options), "c.yaml"), options);
}

TEST(PtqConfig, RefusalsNameLineKeyAndWhatIsKnown) {
  const std::string head = "q:\n  p:\n    class: PostTrainLinearQuantizer\n    ";
  EXPECT_THAT(config_refusal(head + "bits_weights: 4"),
              HasSubstr("c.yaml: line 4: q.p.bits_weights is an unknown key; known are class, "
                        "bits_activations, bits_parameters"));
  EXPECT_THAT(config_refusal(head + "mode: asym_u"),
              HasSubstr("c.yaml: line 4: q.p.mode is asym_u, allowed SYMMETRIC, "));
  EXPECT_THAT(config_refusal(head + "mode: {weights: SYMMETRIC}"),
              HasSubstr("q.p.mode.activations is missing"));
  EXPECT_THAT(config_refusal(head + "clip_acts: avg"), HasSubstr("allowed NONE, AVG, N_STD"));
  EXPECT_THAT(config_refusal(head + "bits_activations: 8.5"), HasSubstr("whole number"));
  EXPECT_THAT(config_refusal(head + "clip_n_stds: .nan"), HasSubstr("finite number"));
  EXPECT_THAT(config_refusal(head + "per_channel_wts: 3"), HasSubstr("True or False"));
  EXPECT_THAT(config_refusal("version: 1"), HasSubstr("line 1: version must be a map"));
  EXPECT_THAT(config_refusal("q: {p: {bits_accum: 3}}"), HasSubstr("q.p.class is missing"));
  EXPECT_THAT(config_refusal("q: {p: {class: Other}}"), HasSubstr("of no component"));
  EXPECT_THAT(config_refusal(""), HasSubstr("must be a map of sections"));
  EXPECT_THAT(config_refusal("a: [1"), HasSubstr("is no YAML"));
  EXPECT_THAT(overrides_refusal("fc: {acts: 4}"),
              HasSubstr("o.yaml: line 1: overrides.fc.acts is an unknown key; known are "
                        "bits_activations, bits_weights"));
  EXPECT_THAT(overrides_refusal("[: {bits_weights: 4}"), HasSubstr("o.yaml: line 1: is no YAML"));
  EXPECT_THAT(overrides_refusal("fc: 4"), HasSubstr("overrides.fc must be a map of bits_act"));
  EXPECT_THAT(overrides_refusal("a: {}\na: {}"), HasSubstr("line 2: overrides.a is given twice"));
  EXPECT_THAT(overrides_refusal("a: {input_overrides: {0: {bits: 3}}}"),
              HasSubstr("overrides.a.input_overrides.0.bits is an unknown key"));
  EXPECT_THAT(overrides_refusal("a: {input_overrides: {x: {}}}"), HasSubstr("whole number"));
}

struct BadOptions {
  const char* name;
  void (*change)(PtqOptions&);
  const char* refusal;
};
constexpr BadOptions kBad[] = {
    {"ActivationBits", [](PtqOptions& o) { o.bits_activations = 0; },
     "--qe-bits-acts is 0, allowed 1..16"},
    {"WeightBits", [](PtqOptions& o) { o.bits_weights = 17; },
     "--qe-bits-wts is 17, allowed 1..16"},
    {"AccumulatorBits", [](PtqOptions& o) { o.bits_accum = 33; },
     "--qe-bits-accum is 33, allowed 2..32"},
    {"ApproximateBits", [](PtqOptions& o) { o.scale_approx_bits = 24; },
     "--qe-scale-approx-bits is 24, allowed 2..23"},
    {"LaplaceOfNineBits",
     [](PtqOptions& o) {
       o.clip_acts = Clipping::kLaplace;
       o.bits_activations = 9;
     },
     "--qe-clip-acts is laplace with 9 bits"},
    {"NStdWithoutN", [](PtqOptions& o) { o.clip_acts = Clipping::kNStd; },
     "--qe-clip-n-stds is missing"},
    {"NegativeN",
     [](PtqOptions& o) {
       o.clip_acts = Clipping::kNStd;
       o.clip_n_stds = -1;
     },
     "--qe-clip-n-stds is -1, must be above 0"},
    {"NWithoutNStd", [](PtqOptions& o) { o.clip_n_stds = 2; },
     "--qe-clip-n-stds is given, but nothing is clipped with n_std"},
    {"DynamicBesideStatistics",
     [](PtqOptions& o) {
       o.dynamic = true;
       o.statistics_file = "s.yaml";
     },
     "--qe-dynamic is given beside --qe-stats-file"},
    {"FloatOf8Bits", [](PtqOptions& o) { o.fpq_module = 8; }, "fpq_module is 8, allowed 16, 32"},
    {"OverrideBits",
     [](PtqOptions& o) {
       o.overrides.push_back({.pattern = "fc", .settings = {}, .line = 7});
       o.overrides[0].settings.bits_weights.emplace(40);
     },
     "line 7: overrides.fc.bits_weights is 40, allowed 1..16"},
};
void PrintTo(const BadOptions& bad, std::ostream* out) { *out << bad.name; }

class PtqOptionsRefused : public testing::TestWithParam<BadOptions> {};
TEST_P(PtqOptionsRefused, NamesTheOption) {
  PtqOptions options;
  GetParam().change(options);
  EXPECT_THAT(refusal([&] { check(options); }), HasSubstr(GetParam().refusal));
}
INSTANTIATE_TEST_SUITE_P(Options, PtqOptionsRefused, testing::ValuesIn(kBad),
                         [](const auto& test) { return test.param.name; });

TEST(PtqOptionsOfAFile, AreNamedByTheirKeys) {
  PtqOptions options;
  options.bits_weights = 17;
  EXPECT_THAT(refusal([&] { check(options, "c.yaml"); }),
              HasSubstr("c.yaml: bits_parameters is 17, allowed 1..16"));
}

TEST(PtqConfig, RefusesASecondQuantizer) {
  EXPECT_THAT(refusal([] {
                read_ptq_config(
                    "q:\n  a: {class: PostTrainLinearQuantizer}\n"
                    "  b: {class: PostTrainLinearQuantizer}\n",
                    "c.yaml");
              }),
              HasSubstr("c.yaml: line 3: q.b is a second component of class"));
}

TEST(PtqOptionsAccepted, NOfAnOverrideThatTakesIt) {
  PtqOptions options;
  check(options);
  options.clip_n_stds = 2;
  options.overrides.push_back({.pattern = "fc", .settings = {}});
  options.overrides[0].settings.clip_acts = Clipping::kNStd;
  check(options);
}

}  // namespace
}  // namespace widthwise
