// calibrate, evaluate --quantize-eval and quantize with Distiller's options: what they print and
// write, and what they refuse before any work.
#include "tests/cli/network_files.h"

namespace widthwise {
namespace {

using namespace testing_support;
using testing::AllOf;
using testing::Not;

class Quantization : public Networks {
 protected:
  void SetUp() override {
    Networks::SetUp();
    QuantizedBuilder b({kOpen, 1, 4, 4}, 13);
    b.random("w", {2, 1, 3, 3});
    b.node("Conv", {"x", "w"}, {"c"}).set_name("/conv/Conv");
    b.node("Relu", {"c"}, {"r"}).set_name("/relu/Relu");
    b.node("Flatten", {"r"}, {"f"}).set_name("/Flatten");
    b.random("u", {8, 3});
    b.node("Gemm", {"f", "u"}).set_name("/fc/Gemm");
    b.output("y");
    network("net", b);
    image_data(40);
    done({"calibrate", "net.onnx", "--data", "data.npy", "--images", "0", "--out", "stats.yaml"});
  }
  Arguments evaluate(const Arguments& more) const {
    Arguments all = {"evaluate", "net.onnx",   "--data", "data.npy",
                     "--labels", "labels.npy", "--qe"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Arguments quantize(const Arguments& more) const {
    Arguments all = {"quantize", "net.onnx", "--out", "q.onnx"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // The statistics with one text in place of another.
  void edited(const std::string& from, const std::string& to) const {
    std::string yaml = text("stats.yaml");
    const size_t at = yaml.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write_file(folder_ / "edited.yaml", yaml.replace(at, from.size(), to));
  }
};

TEST_F(Quantization, CalibrateWritesEveryLayer) {
  const std::string yaml = text("stats.yaml");
  for (const char* layer : {"conv:\n", "\nrelu:\n", "\nfc:\n"}) EXPECT_THAT(yaml, HasSubstr(layer));
  EXPECT_THAT(yaml, AllOf(HasSubstr("shape: (40, 2, 2, 2)"), Not(HasSubstr("Flatten"))));
  const Outcome half = done({"calibrate", "net.onnx", "--data", "data.npy", "--qe-calibration",
                             "0.5", "--histogram-bins", "16", "--out", "half.yaml"});
  EXPECT_THAT(half.out, HasSubstr("statistics of 3 layers over 20 inputs"));
  EXPECT_THAT(text("half.yaml"), HasSubstr("histogram:"));
}

TEST_F(Quantization, EvaluatesInEveryArithmetic) {
  for (const std::string compat : {"none", "distiller-0.3", "distiller-0.4"}) {
    for (const std::string mode : {"sym", "sym_restr", "asym_u", "asym_s"}) {
      if (compat == "distiller-0.3" && mode == "sym_restr") continue;  // which is newer
      const Outcome outcome =
          done(evaluate({"--compat", compat, "--qe-mode", mode, "--qepc", "--qe-stats-file",
                         "stats.yaml", "--print-freq", "1", "-b", "16"}));
      EXPECT_THAT(outcome.out, AllOf(HasSubstr("Test: [   3/   3]"), HasSubstr("\nTop1 "),
                                     HasSubstr("Clipped as it ran")));
    }
  }
  done(evaluate({"--qe-dynamic", "--qe-mode", "sym_restr", "--out", "dynamic.json"}));
  const Json result = json("dynamic.json");
  EXPECT_EQ(result["predictions"].size(), 40U);
  EXPECT_EQ(result["layers"][0]["name"], "conv");
  EXPECT_EQ(result["layers"][0]["inputs"], 40 * 16);
  EXPECT_EQ(result["layers"][0]["inputs_clipped"], 0);
}

TEST_F(Quantization, SettingsSayWhichPatternDecided) {
  write_file(folder_ / "config.yaml",
             "q:\n  a:\n    class: PostTrainLinearQuantizer\n    bits_activations: 6\n"
             "    model_activation_stats: stats.yaml\n    overrides:\n"
             "      co.*: {bits_weights: 4}\n");
  const Outcome outcome =
      done(evaluate({"--qe-config-file", "config.yaml", "--settings-out", "settings.yaml"}));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("conv +Conv2d +co\\.\\* +6 +4 +sym"));
  EXPECT_THAT(text("settings.yaml"), AllOf(HasSubstr("conv:"), HasSubstr("bits_weights: 4"),
                                           HasSubstr("linear_quant_params")));
}

TEST_F(Quantization, WritesWhatItsStatisticsSay) {
  done(quantize({"--qe-stats-file", "stats.yaml", "--qe-mode-acts", "asym_u", "--qe-mode-wts",
                 "sym_restr", "--qepc"}));
  fs::copy_file(folder_ / "net.yaml", folder_ / "q.yaml");
  done({"evaluate", "q.onnx", "--data", "data.npy", "--labels", "labels.npy"});
  const Json layers = Json::parse(done({"inspect", "q.onnx", "--json"}).out)["layers"];
  const auto has_weights = [](const Json& layer) {
    return layer.contains("weight") && layer["weight"]["bits"] == 8;
  };
  EXPECT_EQ(std::count_if(layers.begin(), layers.end(), has_weights), 2);
}

TEST_F(Quantization, LeavesLayersInFloat) {
  const Outcome outcome = done(quantize({"--qe-stats-file", "stats.yaml", "--qe-no-quant-layers",
                                         "fc", "--settings-out", "settings.yaml"}));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("/conv/Conv +Conv +int8 +int8 +uint8\n"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("/fc/Gemm +Gemm +uint8 +float +float\n"));
  EXPECT_THAT(text("settings.yaml"),
              AllOf(HasSubstr("no_quant_by: fc"),
                    testing::ContainsRegex("/fc/Gemm:\n    input:\n      format: uint8\n"
                                           "      scale: [0-9.e-]+\n      zero_point: 0\n"
                                           "    weights: float\n    output: float\n")));
  fs::copy_file(folder_ / "net.yaml", folder_ / "q.yaml");
  const Json result = Json::parse(
      done({"evaluate", "q.onnx", "--data", "data.npy", "--labels", "labels.npy", "--json"}).out);
  const Json real = Json::parse(
      done({"evaluate", "net.onnx", "--data", "data.npy", "--labels", "labels.npy", "--json"}).out);
  EXPECT_NEAR(result["mean_loss"].get<double>(), real["mean_loss"].get<double>(), 0.05);
  refused(quantize({"--data", "data.npy", "--images", "0", "--first-last-bits", "float"}),
          {"bits are none, so that nothing is quantized"});  // it has no others
}

// The files compute nearly what `evaluate --quantize-eval` does at once.
TEST_F(Quantization, WritesWeightsAndActivationsByThemselves) {
  const auto loss = [&](Arguments command) {
    command.insert(command.end(), {"--data", "data.npy", "--labels", "labels.npy", "--json"});
    return Json::parse(done(command).out)["mean_loss"].get<double>();
  };
  fs::copy_file(folder_ / "net.yaml", folder_ / "q.yaml");
  const double real = loss({"evaluate", "net.onnx"});
  for (const Arguments& bits : {Arguments{"--qe-bits-acts", "0", "--qe-bits-wts", "3"},
                                Arguments{"--qe-bits-acts", "8", "--qe-bits-wts", "0"}}) {
    Arguments options = {"--qe-stats-file", "stats.yaml", "--qe-mode", "sym_restr"};
    options.insert(options.end(), bits.begin(), bits.end());
    done(quantize(options));
    const double file = loss({"evaluate", "q.onnx"});
    options.insert(options.begin(), {"evaluate", "net.onnx", "--qe"});
    EXPECT_NEAR(file, loss(options), 0.02) << bits[1];
    EXPECT_NE(file, real);
  }
}

TEST_F(Quantization, PresetLeavesWhatIsStated) {
  const auto written = [&](Arguments more) {
    for (const char* one : {"--data", "data.npy", "--images", "0", "--preset", "few-bits"})
      more.emplace_back(one);
    return done(quantize(more)).out;
  };
  EXPECT_THAT(written({"--qebw", "4"}),
              AllOf(testing::ContainsRegex("conv +Conv2d +- +8 +4 +sym +mse +yes"),
                    testing::ContainsRegex("/conv/Conv +Conv +int8 +int8 per channel +uint8\n")));
  EXPECT_THAT(written({"--per-tensor", "--qe-clip-acts", "avg", "--qe-no-clip-layers", "fc"}),
              AllOf(testing::ContainsRegex("conv +Conv2d +- +8 +8 +sym +avg +no"),
                    testing::ContainsRegex("fc +Linear +no clip: fc +8 +8 +sym +none +no"),
                    testing::ContainsRegex("/conv/Conv +Conv +int8 +int8 +uint8\n")));
}

TEST_F(Quantization, EvaluationWritesWhatTheNetworkReadAndWrote) {
  done(evaluate({"--qe-stats-file", "stats.yaml", "--inputs", "x.npy", "--logits", "y.npy"}));
  EXPECT_EQ(load_tensor((folder_ / "x.npy").string(), ElementType::kFloat).shape()[0], 40);
  EXPECT_EQ(load_tensor((folder_ / "y.npy").string(), ElementType::kFloat).shape()[0], 40);
}

TEST_F(Quantization, ChoosesWidthsUnderABudget) {
  const Outcome outcome = done(quantize(
      {"--data", "data.npy", "--labels", "labels.npy", "--images", "0", "--points-lost", "100"}));
  EXPECT_THAT(outcome.out, HasSubstr("/conv/Conv"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("MACs 0\\.[0-9]+ uJ of 0\\.[0-9]+ uJ"));
  refused(quantize({"--data", "data.npy", "--images", "0", "--points-lost", "1"}),
          {"need labelled calibration inputs"});
}

// Each says what it does, or is refused: nothing is accepted without an effect.
TEST_F(Quantization, RefusesOptionsWithoutEffect) {
  const Arguments plain = {"evaluate", "net.onnx", "--data", "data.npy", "--labels", "labels.npy"};
  const auto alone = [&](Arguments more) {
    more.insert(more.begin(), plain.begin(), plain.end());
    return more;
  };
  refused(alone({"--qe-mode", "asym_u"}), {"--qe-mode requires --quantize-eval"});
  refused(alone({"--settings-out", "s.yaml"}), {"--settings-out requires --quantize-eval"});
  refused(alone({"--print-freq", "-1"}), {"--print-freq is -1, allowed from 0"});
  refused(alone({"--subset", "train"}), {"data.npy: subset 'train' is stated, but no IDX files"});
  const auto with = [&](Arguments more) {
    more.insert(more.end(), {"--qe-stats-file", "stats.yaml"});
    return evaluate(more);
  };
  refused(with({"--calibration-images", "5"}),
          {"--calibration-images requires --calibration-data"});
  refused(with({"--qe-no-clip-layers", "fc"}),
          {"--qe-no-clip-layers is given, but nothing is cli"});
  refused(with({"--qe-bits-acts", "0", "--qe-clip-acts", "gauss"}),
          {"--qe-clip-acts is given, but activations are left in float"});
  refused(with({"--qe-percentile", "99"}), {"--qe-percentile is given, but activations are not"});
  refused(with({"--qe-bits-acts", "1", "--qe-mode", "sym_restr"}),
          {"layer 'conv': bits_activations is 1, of which sym_restr has the code 0 alone"});
  refused(with({"--qe-scale-approx-bits", "1"}), {"--qe-scale-approx-bits is 1, allowed 2..23"});
  const auto refused_of_weights = [&](const auto& command, const std::vector<Arguments>& options) {
    for (const Arguments& useless : options) {
      Arguments more = {"--qe-bits-wts", "0"};
      more.insert(more.end(), useless.begin(), useless.end());
      refused(command(more), {useless[0] + " is given, but weights are left in float"});
    }
  };
  refused_of_weights(
      with, {{"--qe-per-channel"}, {"--qe-mode-wts", "asym_u"}, {"--qe-bits-accum", "16"}});
  refused(with({"--qe-bits-acts", "0", "--qe-mode-acts", "asym_u"}),
          {"--qe-mode-acts is given, but activations are left in float"});
  refused(with({"--qe-mode", "sym", "--qe-mode-acts", "asym_u", "--qe-mode-wts", "sym"}),
          {"--qe-mode is given, but others state the modes of all that is quantized"});
  refused(with({"--qe-bits-acts", "0", "--qe-bits-wts", "0"}), {"nothing is quantized"});
  refused(with({"--qe-no-quant-layers", ".*"}), {"bits are none of any layer"});
  refused(with({"--qe-no-quant-layers", "Flatten"}),
          {"--qe-no-quant-layers 'Flatten' decides about nothing that has settings of its own: "
           "Flatten moves data"});
  refused(with({"--compat", "distiller-0.3", "--qe-mode", "sym_restr"}),
          {"--compat distiller-0.3 is given, but that release has no sym_restr"});
  refused(with({"--compat", "distiller-0.3", "--qe-mode-wts", "asym_u"}), {"has no mode of its"});
  refused(with({"--compat", "distiller-0.3", "--qe-clip-acts", "gauss"}),
          {"that release has no clipping beyond none, avg and n_std"});
  const auto file = [&](Arguments more) {
    more.insert(more.end(), {"--qe-stats-file", "stats.yaml"});
    return quantize(more);
  };
  const auto images = [&](Arguments more) {
    more.insert(more.end(), {"--data", "data.npy", "--images", "0"});
    return quantize(more);
  };
  refused_of_weights(images, {{"--bias-correction"},
                              {"--rounding", "gptq"},
                              {"--qe-clip-wts", "mse"},
                              {"--qe-per-channel"},
                              {"--qe-mode-wts", "asym_u"}});
  refused(file({"--qe-bits-acts", "0", "--elementwise-bits", "4"}),
          {"--elementwise-bits is given, but activations are left in float"});
  refused(file({"--qe-bits-acts", "0", "--signed-acts"}),
          {"--signed-acts is given, but activations are left in float"});
  refused(file({"--images", "5"}), {"--images requires --data"});
  refused(file({"--cost-table", "horowitz_45nm"}), {"--cost-table is given without a budget"});
  refused(file({"--signed-acts", "--qe-mode", "asym_u"}),
          {"--signed-acts is given, but activations are asymmetric"});
  refused(file({"--qe-mode-wts", "asym_s", "--qe-per-channel"}),
          {"--qe-per-channel is given with asymmetric weights"});
  const auto budget = [&](Arguments more) {
    more.insert(more.end(), {"--data", "data.npy", "--labels", "labels.npy", "--images", "0"});
    return quantize(more);
  };
  refused(budget({"--points-lost", "1", "--qe-bits-acts", "4"}),
          {"choose all bits, and --qe-bits-acts states some"});
  refused(budget({"--energy-budget-uj", "nan"}), {"--energy-budget-uj is nan, allowed above 0"});
  refused(budget({"--energy-budget-uj", "1e-9"}),
          {"--energy-budget-uj is 1e-09, below ", " of 2 bits everywhere"});
  refused(budget({"--points-lost", "-1"}), {"--points-lost is -1, allowed from 0"});
  refused(budget({"--elementwise-bits", "99"}), {"--elementwise-bits is 99, allowed 2..8"});
  refused(budget({"--qe-bits-acts", "9"}), {"--qe-bits-acts is 9, allowed 2..8"});
}

TEST_F(Quantization, RefusesSettingsOfLayersWithoutEffect) {
  const auto config = [&](const std::string& settings) {
    write_file(folder_ / "config.yaml",
               "q: {a: {class: PostTrainLinearQuantizer, model_activation_stats: stats.yaml, " +
                   settings + "}}\n");
    return evaluate({"--qe-config-file", "config.yaml"});
  };
  refused(config("overrides: {relu: {bits_activations: 4}}"),
          {"config.yaml: line 1: overrides.relu decides about nothing that has settings of its "
           "own: relu joins conv"});
  refused(config("overrides: {Flatten: {bits_activations: 4}}"), {"own: Flatten moves data"});
  refused(config("no_quant_layers: [relu]"),
          {"config.yaml: no_quant_layers 'relu' decides about nothing that has settings of its"});
  refused(config("no_clip_layers: [fc]"),
          {"config.yaml: no_clip_layers is given, but nothing is clipped"});
  refused(config("clip_acts: AVG, no_clip_layers: [.*]"),
          {"config.yaml: no_clip_layers leaves nothing that is clipped"});
  refused(config("no_quant_layers: [.*]"), {"config.yaml: bits are none of any layer"});
  refused(config("clip_half_range: True"),
          {"config.yaml: clip_half_range is given, but clip_acts"});
  refused(config("bits_parameters: null, per_channel_wts: True"),
          {"config.yaml: per_channel_wts is given, but weights are left in float"});
  refused(config("percentile: 42"),
          {"config.yaml: percentile is given, but activations are not clipped by percentile"});
  refused(config("bits_activations: null, overrides: {fc: {clip_acts: AVG}}"),
          {"layer 'fc': clip_acts is given, but its activations are left in float"});
  refused(config("bits_parameters: null, overrides: {fc: {per_channel_wts: True}}"),
          {"layer 'fc': per_channel_wts is given, but its weights are left in float"});
  refused(config("fpq_module: 8"), {"line 1: q.a.fpq_module is 8, allowed 16, 32, 64"});
  done(
      config("percentile: null, clip_n_stds: null, no_clip_layers: null, fpq_module: null, "
             "overrides: {fc: {clip_acts: AVG, clip_n_stds: null, bits_bias: null, "
             "input_overrides: null}}"));
  refused(config("bits_activations: 8.5"),
          {"config.yaml: line 1: q.a.bits_activations must be a whole number of 1..16"});
  refused(config("bits_accum: 99"), {"config.yaml: line 1", "bits_accum must be", "of 2..32"});
  refused(config("clip_acts: N_STD, clip_n_stds: -1"), {"config.yaml: line 1", "must be above 0"});
  done(config("overrides: {'relu|fc': {bits_activations: 4}}"));
  refused(config("overrides: {conv: {input_overrides: {7: {bits_activations: 4}}}}"),
          {"overrides.conv.input_overrides.7 is given, but 'conv' has 1 inputs"});
  refused(config("overrides: {conv: {clip_n_stds: 3}}"),
          {"layer 'conv': clip_n_stds is given, but clip_acts is not N_STD"});
  refused(config("overrides: {'(.*)*x': {bits_weights: 3}}"), {"overrides.(.*)*x"});
  config("overrides: {fc: {scale_approx_mult_bits: 4}}");
  refused(quantize({"--qe-config-file", "config.yaml"}),
          {"layer 'fc': scale_approx_mult_bits is given"});
  config("overrides: {fc: {inputs_quant_auto_fallback: False}}");
  refused(quantize({"--qe-config-file", "config.yaml"}),
          {"layer 'fc': inputs_quant_auto_fallback"});
  config("overrides: {fc: {bits_activations: 4}}");
  EXPECT_THAT(done(quantize({"--qe-config-file", "config.yaml"})).out,
              testing::ContainsRegex("/fc/Gemm +Gemm +uint8 +int8 +int4\n"));
}

TEST_F(Quantization, TheInputIsClippedAsItsReaderIs) {
  const auto scale = [&](Arguments more) {
    more.insert(more.end(), {"--qe-stats-file", "stats.yaml", "--settings-out", "s.yaml"});
    done(quantize(more));
    const std::string yaml = text("s.yaml");
    const size_t at = yaml.find("scale: ", yaml.find("input:"));
    return yaml.substr(at, yaml.find('\n', at) - at);
  };
  const std::string whole = scale({});
  EXPECT_NE(scale({"--qe-clip-acts", "avg"}), whole);
  EXPECT_EQ(scale({"--qe-clip-acts", "avg", "--qe-no-clip-layers", "conv"}), whole);
}

TEST_F(Quantization, WritesItsOptionsAsAConfigurationFile) {
  const auto result = [&](Arguments more) {
    more.emplace_back("--json");
    Json all = Json::parse(done(evaluate(more)).out);
    return all["predictions"].dump() + all["mean_loss"].dump();
  };
  const std::string stated =
      result({"--qe-stats-file", "stats.yaml", "--qe-mode", "asym_s", "--qebw", "3",
              "--qe-clip-acts", "avg", "--qe-no-clip-layers", "fc", "--qe-config-out", "c.yaml"});
  EXPECT_EQ(result({"--qe-config-file", "c.yaml"}), stated);
}

// What a configuration file has no keys for is named in it, and by the run that writes it.
TEST_F(Quantization, NamesWhatGoesBesideAConfigurationFile) {
  const auto result = [&](Arguments more) {
    const Outcome outcome = done(evaluate(more));
    return outcome.out.substr(outcome.out.find("Top1"), outcome.out.find("Clipped"));
  };
  const std::string measured = result({"--calibration-data", "data.npy", "--qe-calibration", "0.5",
                                       "--stats-out", "s.yaml", "--qe-clip-acts", "percentile",
                                       "--qe-percentile", "90", "--qe-config-out", "c.yaml"});
  EXPECT_THAT(text("c.yaml"), AllOf(HasSubstr("percentile: 90"), HasSubstr("_stats: s.yaml"),
                                    testing::Not(HasSubstr("# Beside"))));
  refused(evaluate({"--qe-config-file", "c.yaml", "--qe-percentile", "99"}),
          {"--qe-config-file is given beside --qe-percentile"});
  refused(evaluate({"--calibration-data", "data.npy", "--qe-calibration", "0.5", "--qe-config-out",
                    "d.yaml"}),
          {"--qe-config-out is given beside --qe-calibration"});
  EXPECT_THAT(done(evaluate({"--qe-stats-file", "stats.yaml", "--compat", "distiller-0.4",
                             "--qe-config-out", "c.yaml"}))
                  .out,
              HasSubstr("c.yaml goes with --compat distiller-0.4, which it has no keys for"));
  EXPECT_THAT(text("c.yaml"), testing::StartsWith("# Beside this file: --compat distiller-0.4\n"));
  const auto written = [&](Arguments more) {
    more.insert(more.end(), {"--data", "data.npy", "--images", "0", "--preset", "few-bits",
                             "--first-last-bits", "6"});
    done(quantize(more));
    return text("q.onnx");
  };
  const std::string file = written({"--qebw", "4", "--qe-config-out", "c.yaml"});
  EXPECT_THAT(text("c.yaml"),
              testing::StartsWith("# Beside this file: --preset few-bits --first-last-bits 6\n"));
  EXPECT_EQ(written({"--qe-config-file", "c.yaml"}), file);
  for (const Arguments& bits :
       {Arguments{"--qebw", "4", "--qeba", "0"}, Arguments{"--qebw", "0", "--qeba", "4"}}) {
    Arguments options = bits;
    options.insert(options.end(), {"--qe-config-out", "c.yaml"});
    const std::string half = written(options);
    EXPECT_EQ(written({"--qe-config-file", "c.yaml"}), half) << bits[1];
  }
  done(evaluate({"--qe-dynamic", "-b", "8", "--qe-config-out", "c.yaml"}));
  EXPECT_THAT(text("c.yaml"), testing::StartsWith("# Beside this file: --batch-size 8\n"));
  refused({"quantize", "net.onnx", "--data", "data.npy", "--images", "0", "--out", "q.txt"},
          {"--out is 'q.txt', allowed is a name ending in .onnx"});
}

TEST_F(Quantization, NothingThatIsReadIsReplaced) {
  refused({"quantize", "net.onnx", "--data", "data.npy", "--images", "0", "--out", "net.onnx"},
          {"--out is net.onnx, which is read, and would be lost"});
  refused(evaluate({"--qe-stats-file", "stats.yaml", "--settings-out", "stats.yaml"}),
          {"--settings-out is stats.yaml, which is read"});
  refused(quantize({"--qe-stats-file", "stats.yaml", "--settings-out", "./q.onnx"}),
          {"--settings-out is ./q.onnx, as --out is"});
}

TEST_F(Quantization, RefusesStatisticsThatDoNotFit) {
  const auto with = [&](const char* file) { return evaluate({"--qe-stats-file", file}); };
  write_file(
      folder_ / "other.yaml",
      "layer9:\n  output: {min: 0, max: 1, avg_min: 0, avg_max: 1, mean: 0, std: 1, b: 1}\n");
  refused(with("other.yaml"), {"other.yaml: statistics: layers are layer9; the network 'net' has"});
  edited("\nfc:", "\nfd:");
  refused(with("edited.yaml"), {"layer 'fc': statistics have no output of this layer"});
  edited("shape: (40, 2, 2, 2)", "shape: (40, 3, 2, 2)");
  refused(with("edited.yaml"), {"edited.yaml: layer 'conv': output has the shape [3, 2, 2]"});
  edited("max: ", "max: -1000\n      unknown_key: ");
  refused(with("edited.yaml"), {"edited.yaml: line ", "unknown_key"});
  edited("    max: ", "    max: -1e9 #");
  refused(with("edited.yaml"), {"edited.yaml: line ", "min"});
  edited("min: ", "min: .nan #");
  refused(with("edited.yaml"), {"edited.yaml: line ", "min"});
  edited("avg_min: ", "avg_min: .inf #");
  refused(with("edited.yaml"), {"edited.yaml: line ", "avg_min"});
  refused(with("none.yaml"), {"none.yaml"});
  EXPECT_THAT(done(with("stats.yaml")).out, Not(HasSubstr("records are not those")));
  std::string yaml = text("stats.yaml");
  const size_t mean = yaml.find("mean: ", yaml.find("\nrelu:"));
  write_file(folder_ / "edited.yaml", yaml.insert(mean + 6, "9 #"));
  EXPECT_THAT(done(with("edited.yaml")).out, HasSubstr("of another network:\n  input 0 of relu\n"));
  write_file(folder_ / "empty.yaml", "{}\n");
  refused(with("empty.yaml"), {"layers are none; the network 'net' has"});
  refused(evaluate({"--qe-stats-file", "stats.yaml", "--qe-clip-acts", "kl"}),
          {"stats.yaml: layer 'conv': statistics of the output have no histogram"});
  edited("\nfc:", "\nfd:");
  refused(quantize({"--qe-stats-file", "edited.yaml"}),
          {"edited.yaml: layer 'fc': statistics have no output of this layer"});
  refused(quantize({"--qe-stats-file", "stats.yaml", "--qe-clip-acts", "mse"}),
          {"stats.yaml: statistics: of tensor '", "have no histogram", "--histogram-bins 2048"});
}

TEST_F(Quantization, RefusesOptionsThatMeanNothing) {
  const Arguments stats = {"--qe-stats-file", "stats.yaml"};
  const auto with = [&](Arguments more) {
    more.insert(more.end(), stats.begin(), stats.end());
    return evaluate(more);
  };
  refused(with({"--qe-dynamic"}), {"--qe-stats-file, --qe-dynamic exclude each other"});
  refused(with({"--qe-calibration", "0.5"}), {"--qe-stats-file, --qe-calibration exclude"});
  refused(with({"--qe-mode", "asym"}), {"--qe-mode is 'asym', allowed sym, sym_restr, asym_u"});
  refused(with({"--qe-bits-acts", "33"}), {"--qe-bits-acts is 33, allowed 1..16"});
  refused(with({"--qe-bits-accum", "1"}), {"--qe-bits-accum is 1, allowed 2..32"});
  refused(with({"--qe-clip-acts", "AVG"}), {"--qe-clip-acts is 'AVG', allowed none, avg"});
  refused(with({"--qe-clip-acts", "n_std"}), {"--qe-clip-n-stds is missing"});
  refused(with({"--qe-clip-n-stds", "2"}), {"--qe-clip-n-stds is given, but nothing is clipped"});
  refused(with({"--qe-clip-acts", "gauss", "--qe-bits-acts", "9"}), {"--qe-clip-acts is gauss"});
  refused(with({"--qe-no-quant-layers", "conv9"}),
          {"--qe-no-quant-layers 'conv9' matches no layer; layers are conv, relu, Flatten, fc"});
  refused(with({"--qe-no-clip-layers", "[", "--qe-clip-acts", "avg"}), {"[", "regular expression"});
  refused(with({"--compat", "distiller"}),
          {"--compat is 'distiller', allowed none, distiller-0.3"});
  refused(with({"--compat", "distiller-0.4", "--qe-clip-acts", "mse"}),
          {"--qe-clip-acts is by histogram, which --compat distiller-0.4 does not have"});
  refused(with({"--accelerator", "edge-int8"}), {"--accelerator is given, but this arithmetic"});
  refused(evaluate({}), {"--qe-stats-file, --qe-dynamic, --calibration-data are all missing"});
  refused(evaluate({"--calibration-data", "data.npy", "--qe-calibration", "0"}),
          {"--qe-calibration is 0, allowed above 0, up to 1"});
  write_file(folder_ / "config.yaml", "q: {a: {class: PostTrainLinearQuantizer, bits: 6}}\n");
  refused(evaluate({"--qe-config-file", "config.yaml"}), {"config.yaml: line 1", "bits"});
  refused(evaluate({"--qe-config-file", "config.yaml", "--qe-mode", "sym"}),
          {"--qe-config-file is given beside --qe-mode"});
  refused(quantize({"--qe-stats-file", "stats.yaml", "--rounding", "gptq"}),
          {"--qe-stats-file is given, but rounding by error"});
  refused(quantize({"--qe-stats-file", "stats.yaml", "--compat", "distiller-0.3"}),
          {"--compat is given, but a release's arithmetic has no form as ONNX"});
  refused(quantize({"--qe-stats-file", "stats.yaml", "--qe-bits-accum", "16"}),
          {"--qe-bits-accum is given, but a network file states neither"});
  refused(quantize({"--qe-stats-file", "stats.yaml", "--qe-bits-acts", "0", "--qe-bits-wts", "0"}),
          {"--qe-bits-acts, --qe-bits-wts leave activations and weights in float"});
  refused(quantize({"--qe-stats-file", "stats.yaml", "--first-last-bits", "half"}),
          {"--first-last-bits is 'half', allowed 2..8, float"});
  refused(quantize({"--qe-stats-file", "stats.yaml", "--per-tensor"}),
          {"--per-tensor is given without --accelerator or --preset"});
  refused(quantize({}), {"--data is missing"});
}

}  // namespace
}  // namespace widthwise
