// The command line: one verb per stage. The only code that prints or exits.
//   exit 0 done, 1 bad input, 2 a comparison failed, 130 interrupted
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "cli/calibrate.h"
#include "cli/demo.h"
#include "cli/evaluate.h"
#include "cli/overflow.h"
#include "cli/quantize.h"
#include "cli/quantizer_options.h"
#include "cli/run.h"
#include "cli/terminal_progress.h"
#include "cli/verbs.h"
#include "core/error.h"

namespace {

constexpr int kDone = 0, kBadInput = 1, kMismatch = 2, kInterrupted = 130, kBug = 70;

// What the command line's parser refuses, said as every other bad input.
std::string usage_message(const CLI::App* app, const CLI::Error& error) {
  std::string verb;
  for (const CLI::App* parsed : app->get_subcommands()) verb += parsed->get_name() + " ";
  std::vector<std::string> known;
  for (const CLI::App* one : app->get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(one->get_name());
  return fmt::format("widthwise: {}{}.\n  fix: widthwise {}--help lists what is allowed\n",
                     error.what(), verb.empty() ? ", one of " + widthwise::list_names(known) : "",
                     verb);
}

void add_evaluation(CLI::App& verb, widthwise::EvaluationRequest& request, const char* network) {
  verb.add_option("network", request.network, network)->required();
  verb.add_option("--data", request.data,
                  "folder of IDX files or of images by class, .npy, .npz[:member]")
      ->required();
  verb.add_option("--labels", request.labels, ".npy or .npz[:member] of an array's labels");
  verb.add_option("--subset", request.subset, "of a folder of IDX files, default t10k");
  verb.add_option("--preprocessing", request.preprocessing,
                  "YAML; without: beside the network, of the same name");
  verb.add_option("--images", request.images, "the first ones; 0: all")->capture_default_str();
  verb.add_option("--out", request.out, "file for the result as JSON");
  verb.add_flag("--json", request.json, "print JSON instead of text");
}

std::string command_line(int argc, char** argv) {
  std::string text = "widthwise";
  for (int i = 1; i < argc; ++i) text += std::string(" ") + argv[i];
  return text;
}

int run(int argc, char** argv) {
  using namespace widthwise;
  CLI::App app{
      "Widthwise: how wide an accumulator has to be, what it saves, and whether the RTL does it."};
  app.require_subcommand(1);
  app.failure_message(usage_message);
  app.set_version_flag("--version", WIDTHWISE_VERSION);

  DemoOptions demo;
  demo.command = command_line(argc, argv);
  CLI::App* demo_verb =
      app.add_subcommand("demo", "the whole way on a shipped network and real data");
  demo_verb
      ->add_option("--network", demo.model,
                   "plain_cnn, resnet8, shufflenetv2, or a file that ends in .onnx")
      ->capture_default_str();
  demo_verb->add_option("--data", demo.data, "folder with Fashion-MNIST's IDX files")
      ->capture_default_str();
  demo_verb
      ->add_option("--accelerator", demo.accelerators,
                   "shipped descriptions or .yaml files, one or more")
      ->capture_default_str();
  demo_verb
      ->add_option("--out", demo.out, "folder for the results; replaced if it holds former ones")
      ->capture_default_str();
  demo_verb->add_option("--images", demo.images, "test images; 0: all")->capture_default_str();
  demo_verb
      ->add_option("--calibration-images", demo.calibration_images,
                   "training images for the ranges")
      ->capture_default_str();
  demo_verb
      ->add_option("--sweep-widths", demo.sweep_widths,
                   "accumulator widths below the observed one to run")
      ->capture_default_str();
  demo_verb->add_flag("--per-tensor", demo.per_tensor,
                      "weights: one scale per tensor, not per output channel");
  demo_verb->add_flag("--symmetric", demo.symmetric, "activations: symmetric ranges, zero point 0");
  demo_verb->add_flag("!--no-cosim", demo.cosim, "leave out the generated Verilog");

  std::string model, accelerator;
  std::filesystem::path rtl_folder;
  bool json = false;
  CLI::App* inspect_verb =
      app.add_subcommand("inspect", "layers, shapes, MACs, parameters, bits and scales");
  inspect_verb->add_option("network", model, "a shipped network, or a file that ends in .onnx")
      ->required();
  inspect_verb->add_flag("--json", json, "print JSON instead of a table");

  RunRequest run;
  run.command = demo.command;
  CLI::App* run_verb =
      app.add_subcommand("run", "a network on given tensors, exactly; outputs as .npy");
  run_verb->add_option("network", run.network, "a shipped network, or a file that ends in .onnx")
      ->required();
  run_verb
      ->add_option("--input", run.inputs,
                   "<name>=<file> for every input: .npy, .npz[:member], or .pb (TensorProto)")
      ->required();
  run_verb->add_option("--accelerator", run.accelerator,
                       "datapath: a shipped description or a .yaml file; without: exact sums");
  run_verb->add_option("--out", run.out, "folder for the results; replaced if it holds former ones")
      ->required();
  run_verb->add_flag("--accumulators", run.accumulators, "write the sums of every layer, too");
  run_verb->add_flag("--codes", run.codes, "write every value of integers, too");
  run_verb->add_flag("--json", run.json, "print JSON instead of tables");

  EvaluateRequest evaluate;
  evaluate.command = demo.command;
  CLI::App* evaluate_verb =
      app.add_subcommand("evaluate", "a network over a data set: Top1, Top5, loss, overflows");
  add_evaluation(*evaluate_verb, evaluate, "a shipped network, or a file that ends in .onnx");
  evaluate_verb->add_option("--accelerator", evaluate.accelerator,
                            "datapath: a shipped description or a .yaml file; without: exact sums");
  evaluate_verb->add_option("--logits", evaluate.logits, ".npy for the network's outputs");
  evaluate_verb->add_option("--inputs", evaluate.inputs,
                            ".npy for the network's inputs, preprocessed");
  evaluate_verb
      ->add_option("--batch-size,-b", evaluate.batch,
                   "images that a line counts, and that dynamic ranges are of")
      ->capture_default_str();
  evaluate_verb
      ->add_option("--print-freq,-p", evaluate.print_freq, "a line every so many batches; 0: none")
      ->capture_default_str();
  add_quantizer_options(
      *evaluate_verb, evaluate.ptq,
      evaluate_verb->add_flag("--quantize-eval,--qe", evaluate.quantize_eval,
                              "quantize the float network as below, then evaluate it"));

  OverflowRequest overflow;
  overflow.command = demo.command;
  CLI::App* overflow_verb = app.add_subcommand(
      "overflow", "what every accumulator width would overflow, from one pass over a data set");
  add_evaluation(*overflow_verb, overflow, "a quantized network: a file that ends in .onnx");
  overflow_verb
      ->add_option("--accelerator", overflow.accelerator, "a shipped description or a .yaml file")
      ->required();
  overflow_verb->add_flag("--per-channel", overflow.per_channel,
                          "every output channel by itself, too, in the JSON");

  CalibrateRequest calibrate;
  CLI::App* calibrate_verb = app.add_subcommand(
      "calibrate", "statistics of every layer of a float network, as Distiller's YAML");
  calibrate_verb
      ->add_option("network", calibrate.network, "a shipped network, or a file that ends in .onnx")
      ->required();
  calibrate_verb
      ->add_option("--data", calibrate.data,
                   "folder of IDX files or of images by class, .npy, .npz[:member]")
      ->required();
  calibrate_verb->add_option("--labels", calibrate.labels,
                             ".npy or .npz[:member] of an array's labels: classes that lie in "
                             "order are spread");
  calibrate_verb->add_option("--subset", calibrate.subset,
                             "of a folder of IDX files, default train");
  calibrate_verb->add_option("--preprocessing", calibrate.preprocessing,
                             "YAML; without: beside the network, of the same name");
  calibrate_verb->add_option("--images", calibrate.images,
                             "so many, spread where classes lie in order; 0: all; default 1024");
  calibrate_verb->add_option("--qe-calibration", calibrate.fraction,
                             "in place of --images: this part of them, above 0, up to 1");
  calibrate_verb
      ->add_option("--batch-size,-b", calibrate.batch, "images that make a batch of the averages")
      ->capture_default_str();
  calibrate_verb
      ->add_option("--histogram-bins", calibrate.histogram_bins,
                   "for percentile, kl and mse ranges; 0: no histograms")
      ->capture_default_str();
  calibrate_verb
      ->add_option("--compat", calibrate.compat,
                   "the averages of a release: distiller-0.3, distiller-0.4")
      ->capture_default_str();
  calibrate_verb->add_option("--out", calibrate.out, "the .yaml file")->required();

  QuantizeRequest quantize;
  CLI::App* quantize_verb =
      app.add_subcommand("quantize", "a float network for an accelerator, written as ONNX");
  quantize_verb
      ->add_option("network", quantize.network, "a shipped network, or a file that ends in .onnx")
      ->required();
  quantize_verb->add_option("--accelerator", quantize.accelerator,
                            "formats of a shipped description or a .yaml file; or --qe options");
  CLI::Option* ranges_data = quantize_verb->add_option(
      "--data", quantize.data, "what the ranges are measured on; or --qe-stats-file");
  quantize_verb
      ->add_option("--labels", quantize.labels,
                   ".npy or .npz[:member] of an array's labels, for budgets")
      ->needs(ranges_data);
  quantize_verb->add_option("--subset", quantize.subset, "of a folder of IDX files, default train")
      ->needs(ranges_data);
  quantize_verb
      ->add_option("--preprocessing", quantize.preprocessing,
                   "YAML; without: beside the network, of the same name")
      ->needs(ranges_data);
  quantize_verb
      ->add_option("--images", quantize.images,
                   "for the ranges: the first ones, or spread where classes lie in order; 0: all; "
                   "default 1024")
      ->needs(ranges_data);
  quantize_verb->add_flag("--per-tensor", quantize.per_tensor,
                          "weights: one scale per tensor, not per output channel");
  quantize_verb->add_flag("--symmetric", quantize.symmetric,
                          "activations: symmetric ranges, zero point 0");
  quantize_verb
      ->add_option("--format", quantize.format,
                   "qcdq (QDQ with a Clip below 8 bits; ONNX Runtime runs it) or qonnx")
      ->capture_default_str();
  quantize_verb->add_option("--out", quantize.out, "the .onnx file")->required();
  add_quantizer_options(*quantize_verb, quantize.ptq, nullptr);
  add_method_options(*quantize_verb, quantize.methods);

  CLI::App* generate_verb =
      app.add_subcommand("generate", "Verilog of an accelerator's array, with its test bench");
  generate_verb->add_option("--accelerator", accelerator, "a shipped description, or a .yaml file")
      ->required();
  generate_verb
      ->add_option("--out", rtl_folder, "folder for the files; replaced if it holds former ones")
      ->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kBadInput;
  }
  if (inspect_verb->parsed()) {
    fmt::print("{}", inspect(model, json));
    return kDone;
  }
  if (generate_verb->parsed()) {
    fmt::print("{}", generate(accelerator, rtl_folder, demo.command));
    return kDone;
  }
  TerminalProgress progress;
  if (run_verb->parsed()) {
    fmt::print("{}", run_network(run, progress));
    return kDone;
  }
  if (evaluate_verb->parsed()) {
    if (evaluate.print_freq > 0 && !evaluate.json) {
      evaluate.print = [](const std::string& text) {
        fmt::print("{}", text);
        std::fflush(stdout);
      };
    }
    fmt::print("{}", evaluate_network(evaluate, progress));
    return kDone;
  }
  if (overflow_verb->parsed()) {
    fmt::print("{}", overflow_census(overflow, progress));
    return kDone;
  }
  if (calibrate_verb->parsed()) {
    fmt::print("{}", calibrate_network(calibrate, progress));
    return kDone;
  }
  if (quantize_verb->parsed()) {
    fmt::print("{}", quantize_network(quantize, progress));
    return kDone;
  }
  if (demo_verb->parsed()) {
    const DemoOutcome outcome = run_demo(demo, progress);
    fmt::print("{}\nwritten to {}/: index.html, demo.json, the quantized networks, the Verilog\n",
               outcome.text, demo.out.string());
    return outcome.match ? kDone : kMismatch;
  }
  return kBug;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int code = run(argc, argv);
    if (std::fflush(stdout) == 0) return code;
    fmt::print(stderr, "widthwise: stdout cannot be written: {}.\n  fix: make room there\n",
               std::strerror(errno));
    return kBadInput;
  } catch (const widthwise::InputError& error) {
    fmt::print(stderr, "widthwise: {}\n", error.what());
    return kBadInput;
  } catch (const widthwise::Interrupted& error) {
    fmt::print(stderr, "\nwidthwise: {}; nothing was written\n", error.what());
    return kInterrupted;
  } catch (const std::filesystem::filesystem_error& error) {
    fmt::print(stderr, "widthwise: a bug of ours: {}\n", error.what());
    return kBug;
  } catch (const std::system_error& error) {  // of fmt::print
    fmt::print(stderr, "widthwise: stdout cannot be written: {}.\n  fix: make room there\n",
               error.code().message());
    return kBadInput;
  } catch (const std::exception& error) {
    fmt::print(stderr, "widthwise: a bug of ours: {}\n", error.what());
    return kBug;
  }
}
