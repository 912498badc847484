#include "quant/ptq_resolve.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "quant/ptq_config_yaml.h"
#include "quant/ptq_settings_text.h"

namespace widthwise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<Module> kModules = {{"conv1", "Conv2d"},
                                      {"relu1", "ReLU"},
                                      {"layer1.conv2", "Conv2d"},
                                      {"layer1.add", "EltwiseAdd"},
                                      {"conv10", "Conv2d"},
                                      {"pool", "MaxPool2d"},
                                      {"fc", "Linear"}};

PtqOptions with(const std::string& overrides) {
  PtqOptions options;
  options.overrides = read_overrides(overrides, "o.yaml");
  return options;
}
ResolvedSettings resolved(const std::string& overrides, Compat compat = Compat::kNone) {
  return resolve(with(overrides), kModules, compat, "o.yaml");
}
const ModuleSettings& of(const ResolvedSettings& all, const std::string& name) {
  for (const ResolvedModule& module : all.modules) {
    if (module.module.name == name) return module.settings;
  }
  throw std::invalid_argument(name);
}
std::string refusal(const PtqOptions& options, Compat compat = Compat::kNone) {
  try {
    resolve(options, kModules, compat, "o.yaml");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}
std::string refusal(const std::string& overrides, Compat compat = Compat::kNone) {
  return refusal(with(overrides), compat);
}

// The traps of joined patterns: each by itself is right; together they are Distiller's.
TEST(PtqResolve, AlternativesAreAnchoredOnBothSidesButForDistiller) {
  const std::string overrides = "conv1|fc: {bits_weights: 4}";
  EXPECT_EQ(of(resolved(overrides), "conv1").bits_weights, 4);
  EXPECT_EQ(of(resolved(overrides), "conv10").bits_weights, 8);
  EXPECT_EQ(of(resolved(overrides), "fc").bits_weights, 4);
  EXPECT_EQ(of(resolved(overrides, Compat::kDistiller04), "conv10").bits_weights, 4);
}

TEST(PtqResolve, GroupsDoNotShiftPatternsButForDistiller) {
  const std::string overrides =
      "conv(1|10): {bits_weights: 4}\nf.*: {bits_weights: 2}\npo+l: {bits_activations: 3}";
  EXPECT_EQ(of(resolved(overrides), "fc").bits_weights, 2);
  EXPECT_EQ(of(resolved(overrides), "fc").bits_activations, 8);
  const std::string without_pool = overrides.substr(0, overrides.find("po+l"));
  EXPECT_THAT(refusal(overrides, Compat::kDistiller04), HasSubstr("capture group 4"));
  EXPECT_THAT(refusal(without_pool, Compat::kDistiller04), HasSubstr("'fc'"));
  const auto shifted = resolved(
      "conv(1|10): {bits_weights: 4}\nf.*: {bits_weights: 2}\n"
      "x: {bits_weights: 3}",
      Compat::kDistiller04);
  EXPECT_EQ(of(shifted, "fc").bits_weights, 3);
  EXPECT_THAT(shifted.without_effect, ElementsAre("f.*"));
}

TEST(PtqResolve, FirstPatternWinsUnlessALaterOneIsTheName) {
  const auto all =
      resolved(".*conv.*: {bits_weights: 6}\nconv1.*: {bits_weights: 2}\nconv1: {bits_bias: null}",
               Compat::kDistiller04);
  EXPECT_EQ(of(all, "conv10").bits_weights, 6);
  EXPECT_EQ(of(all, "conv1").bits_weights, 8);  // patterns do not add up
  EXPECT_EQ(all.modules[0].bits_bias, std::nullopt);
  EXPECT_THAT(all.without_effect, ElementsAre("conv1.*"));
  EXPECT_EQ(resolved(".*: {bits_weights: 6}\nfc: {}").modules[6].matched, "fc");
  EXPECT_EQ(resolved(".*: {}\nfc: {}", Compat::kDistiller04).modules[6].matched, ".*");
}

TEST(PtqResolve, WhatMatchesNothingIsRefusedButForDistiller) {
  EXPECT_THAT(refusal("fc: {bits_weights: 4}\nFC: {bits_weights: 4}"),
              HasSubstr("o.yaml: line 2: overrides.FC matches no layer; layers are conv1, relu1, "
                        "layer1.conv2, layer1.add, conv10, pool, fc"));
  EXPECT_THAT(resolved("FC: {bits_weights: 4}", Compat::kDistiller04).without_effect,
              ElementsAre("FC"));
  PtqOptions options;
  options.no_clip_layers = {"fc", "f"};
  EXPECT_THAT(refusal(options), HasSubstr("o.yaml: no_clip_layers 'f' matches no layer"));
  EXPECT_EQ(refusal(options, Compat::kDistiller04), "");
  options.no_clip_layers = {"["};
  EXPECT_THAT(refusal(options), HasSubstr("'[' is no regular expression"));
  EXPECT_THAT(refusal("\"(\": {bits_weights: 4}", Compat::kDistiller04),
              HasSubstr("line 1: overrides.( is no regular expression"));
  EXPECT_THAT(refusal("\"a{9999}{9999}\": {}"), HasSubstr("is no regular expression"));
  EXPECT_THAT(refusal(std::string(1000, '(') + ": {}", Compat::kDistiller04),
              HasSubstr("o.yaml: line 1"));
  EXPECT_THAT(refusal("? " + std::string(1001, 'a') + "\n: {}"), HasSubstr("allowed 1..1000"));
}

TEST(PtqResolve, KeysGoToTheLayersThatTakeThemButForDistiller) {
  const auto all = resolved(".*: {per_channel_wts: True, bits_weights: 4}");
  EXPECT_TRUE(of(all, "fc").per_channel);
  EXPECT_FALSE(of(all, "pool").per_channel);
  EXPECT_EQ(of(all, "pool").bits_weights, std::nullopt);
  EXPECT_THAT(refusal(".*: {per_channel_wts: True}", Compat::kDistiller04),
              HasSubstr("overrides..*.per_channel_wts is not taken by 'relu1', a ReLU"));
  EXPECT_THAT(refusal("layer.*1: {mode: SYMMETRIC}", Compat::kDistiller04),
              HasSubstr("'layer1', a container"));
  EXPECT_THAT(refusal("conv1: {quantize_inputs: False}"),
              HasSubstr("overrides.conv1.quantize_inputs is taken by no layer that this pattern "
                        "decides about: Conv2d"));
  EXPECT_THAT(refusal("relu1: {bits_weights: 2}"), HasSubstr("about: ReLU"));
  EXPECT_EQ(refusal("relu1: {bits_weights: 2}", Compat::kDistiller04), "");
  EXPECT_THAT(refusal("fc: {bits_bias: 16}"), HasSubstr("has the accumulator's bits"));
}

TEST(PtqResolve, ListsOfLayersComeAfterOverrides) {
  PtqOptions options = with("fc: {clip_acts: GAUSS, input_overrides: {0: {bits_activations: 4}}}");
  options.clip_acts = Clipping::kAverage;
  options.no_clip_layers = {"f.", "layer1[.].*"};
  options.no_quant_layers = {"conv1.*"};
  const auto all = resolve(options, kModules, Compat::kNone, "");
  EXPECT_EQ(of(all, "fc").clip.clipping, Clipping::kNone);
  EXPECT_EQ(of(all, "fc").inputs.at(0).bits, 4);
  EXPECT_EQ(of(all, "fc").inputs.at(0).clip, std::nullopt);
  EXPECT_EQ(of(all, "layer1.add").clip.clipping, Clipping::kNone);
  EXPECT_EQ(of(all, "pool").clip.clipping, Clipping::kAverage);
  EXPECT_EQ(of(all, "conv10").bits_activations, std::nullopt);
  EXPECT_EQ(of(all, "conv1").bits_weights, std::nullopt);
  // There, they are overrides, and an earlier one wins.
  const auto old = resolve(options, kModules, Compat::kDistiller04, "");
  EXPECT_EQ(of(old, "fc").clip.clipping, Clipping::kGauss);
  EXPECT_EQ(of(old, "layer1.add").clip.clipping, Clipping::kNone);
  EXPECT_EQ(old.modules[4].no_quant, "conv1.*");
}

TEST(PtqResolve, PatternsOfListsThatDecideNothing) {
  PtqOptions options;
  options.no_quant_layers = {"conv.*", "conv1"};  // a whole name comes first
  EXPECT_THAT(resolve(options, kModules, Compat::kNone, "").without_effect, ElementsAre());
  options.no_quant_layers = {"conv.*", "conv1."};
  EXPECT_THAT(resolve(options, kModules, Compat::kNone, "").without_effect, ElementsAre("conv1."));
  options.clip_acts = Clipping::kAverage;
  options.no_quant_layers = {"fc"};
  options.no_clip_layers = {"fc"};
  EXPECT_THAT(refusal(options),
              HasSubstr("o.yaml: no_clip_layers 'fc' decides about nothing that is clipped"));
  options = with("fc: {bits_activations: null, bits_weights: null}");
  options.no_quant_layers = {"fc"};
  EXPECT_THAT(refusal(options), HasSubstr("'fc' decides about nothing that is quantized"));
}

TEST(PtqResolve, NamesNearAPatternComeFirst) {
  std::vector<Module> many;
  for (int i = 0; i < 30; ++i) many.push_back({"layer" + std::to_string(i), "Conv2d"});
  many.push_back({"classifier", "Linear"});
  try {
    resolve(with("clasifier: {bits_weights: 4}"), many, Compat::kNone, "o.yaml");
    ADD_FAILURE() << "resolved";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("layers are classifier, layer0, layer1, "));
    EXPECT_THAT(error.what(), HasSubstr("layer10, ... (31 in all)."));
  }
}

TEST(PtqResolve, InputsTakeTheOutputsSettingsForWhatTheyLeaveOut) {
  const auto all = resolved(
      "fc: {clip_acts: N_STD, clip_n_stds: 2,\n"
      "     input_overrides: {0: {bits_activations: 5}, 1: {from_output: True}}}\n"
      "conv1: {scale_approx_mult_bits: 9, inputs_quant_auto_fallback: False}");
  const ModuleSettings& s = of(all, "fc");
  EXPECT_EQ(s.inputs.at(0).bits, 5);
  EXPECT_EQ(s.inputs.at(0).clip->clipping, Clipping::kNStd);
  EXPECT_EQ(s.inputs.at(0).clip->n_stds, 2);
  EXPECT_TRUE(s.inputs.at(1).from_output);
  EXPECT_EQ(of(all, "conv1").approximate_bits, 9);
  EXPECT_FALSE(of(all, "conv1").input_fallback);
  const auto half = resolved(
      "fc: {clip_acts: GAUSS, clip_half_range: True, input_overrides: {0: {bits_activations: 5}}}");
  EXPECT_TRUE(of(half, "fc").clip.half_range);
  EXPECT_FALSE(of(half, "fc").inputs.at(0).clip->half_range);
}

TEST(PtqResolve, SettingsWithoutEffectAreRefused) {
  EXPECT_THAT(refusal("fc: {clip_n_stds: 3}"),
              HasSubstr("layer 'fc': clip_n_stds is given, but clip_acts is not N_STD"));
  EXPECT_THAT(refusal("fc: {clip_half_range: True}"),
              HasSubstr("layer 'fc': clip_half_range is given, but clip_acts is neither"));
  EXPECT_THAT(refusal("fc: {bits_activations: 1, mode: SYMMETRIC_RESTRICTED}"),
              HasSubstr("layer 'fc': bits_activations is 1, of which sym_restr has the code 0"));
}

TEST(PtqResolve, SettingsOfALayerThatContradictAreRefused) {
  EXPECT_THAT(refusal("fc: {bits_activations: 9, clip_acts: GAUSS}"),
              HasSubstr("layer 'fc': clip_acts is gauss with 9 bits"));
  EXPECT_THAT(refusal("fc: {clip_acts: N_STD}"), HasSubstr("layer 'fc': clip_n_stds is missing"));
  EXPECT_THAT(refusal("fc: {input_overrides: {0: {clip_acts: N_STD}}}"),
              HasSubstr("input_overrides.0.clip_n_stds is missing"));
}

TEST(PtqResolve, FloatsAndFakeQuantization) {
  const auto all = resolved(
      "conv1: {fpq_module: 32}\nfc: {fake: True}\nrelu1: {fpq_module: 32}\n"
      "pool: {fpq_module: 32, fake: False}");
  EXPECT_EQ(of(all, "conv1").bits_activations, std::nullopt);
  EXPECT_EQ(of(all, "conv1").bits_weights, std::nullopt);
  EXPECT_EQ(of(all, "fc").bits_activations, 8);  // its output, of a float product
  EXPECT_EQ(of(all, "fc").bits_weights, std::nullopt);
  EXPECT_EQ(of(all, "relu1").bits_activations, 8);
  EXPECT_EQ(of(all, "pool").bits_activations, std::nullopt);
  EXPECT_THAT(refusal("fc: {fp16: True}"), HasSubstr("is 16, but only 32 is carried out"));
  EXPECT_THAT(refusal("layer1.add: {fake: True}"), HasSubstr("not carried out for EltwiseAdd"));
  EXPECT_THAT(refusal("relu1: {make_identity: True}"), HasSubstr("make_identity is not carried"));
}

TEST(PtqResolve, TypesOfLayers) {
  const auto type = [](const char* operator_type) {
    FloatLayer layer;
    layer.operator_type = operator_type;
    return module_type(layer);
  };
  EXPECT_EQ(type("Conv"), "Conv2d");
  EXPECT_EQ(type("MatMul"), "Linear");
  EXPECT_EQ(type("Clip"), "ReLU6");
  EXPECT_EQ(type("GlobalAveragePool"), "AvgPool2d");
  EXPECT_EQ(type("Concat"), "Concat");
}

TEST(PtqSettingsText, ATableWithTheDecidingPatterns) {
  PtqOptions options = with(
      "conv1: {bits_weights: 4, per_channel_wts: True,\n"
      "        mode: {activations: ASYMMETRIC_UNSIGNED, weights: SYMMETRIC}}\n"
      "f.*: {clip_acts: N_STD, clip_n_stds: 2.5, input_overrides: {0: {from_output: True}}}\n"
      "fc.*: {bits_weights: 3}");
  options.no_quant_layers = {"pool"};
  const std::vector<Module> modules = {
      {"conv1", "Conv2d"}, {"pool", "MaxPool2d"}, {"fc", "Linear"}};
  const auto all = resolve(options, modules, Compat::kNone, "");
  EXPECT_EQ(settings_text(all),
            "layer  type       matched by      acts   wts  mode        clip       per channel  "
            "accum  inputs\n"
            "conv1  Conv2d     conv1           8      4    asym_u/sym  none       yes          "
            "32     -\n"
            "pool   MaxPool2d  no quant: pool  float  -    sym         -          -            "
            "-      -\n"
            "fc     Linear     f.*             8      8    sym         n_std 2.5  no           "
            "32     0: as output\n"
            "patterns without effect: fc.*\n");
  EXPECT_THAT(settings_text(all, SettingsOf::kFile),
              HasSubstr("fc     Linear     f.*             8      8    sym         n_std 2.5  "
                        "no\n"));
}

TEST(PtqSettingsText, YamlWithScales) {
  const auto all = resolve(with("fc: {bits_weights: 4}"), {{"fc", "Linear"}}, Compat::kNone, "");
  DistillerNetwork network;
  DistillerLayer layer;
  layer.module = "fc";
  layer.ofmap = {.codes = {}, .scales = {{.scale = 0.5F, .zero_point = 3}}};
  layer.weights.codes = {1, 2};
  layer.weights.quantization.scales = {{.scale = 2}, {.scale = 4}};
  network.layers.push_back(layer);
  EXPECT_EQ(settings_yaml(all, &network), R"(fc:
  bits_activations: 8
  bits_weights: 4
  bits_bias: 32
  bits_accum: 32
  mode: {activations: SYMMETRIC, weights: SYMMETRIC}
  clip_acts: NONE
  clip_half_range: false
  per_channel_wts: false
  scale_approx_mult_bits: ~
  inputs_quant_auto_fallback: true
  matched_by: fc
linear_quant_params:
  fc.output_scale: 0.5
  fc.output_zero_point: 3
  fc.output_codes: [-128, 127]
  fc.w_scale: [2, 4]
  fc.w_zero_point: [0, 0]
  fc.w_codes: [-128, 127]
)");
}

}  // namespace
}  // namespace widthwise
