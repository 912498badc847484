#include "cli/quantizer_options.h"

namespace widthwise {
namespace {

// Options that help lists under one heading.
struct OptionGroup {
  CLI::App& verb;
  const char* heading;
  CLI::Option* needed = nullptr;  // without which the others mean nothing

  template <class Value>
  CLI::Option* add(const char* names, Value& to, const char* text) const {
    return in_group(verb.add_option(names, to, text));
  }
  CLI::Option* flag(const char* names, bool& to, const char* text) const {
    return in_group(verb.add_flag(names, to, text));
  }

 private:
  CLI::Option* in_group(CLI::Option* option) const {
    if (needed != nullptr) option->needs(needed);
    return option->group(heading);
  }
};

}  // namespace

void add_quantizer_options(CLI::App& verb, PtqRequest& r, CLI::Option* quantize_eval) {
  const OptionGroup group{verb, "Post-training quantization", quantize_eval};
  group.add("--compat", r.compat, "whose arithmetic: none, distiller-0.3, distiller-0.4")
      ->capture_default_str();
  group.add("--qe-mode,--qem", r.mode, "sym (default), sym_restr, asym_u, asym_s");
  group.add("--qe-mode-acts,--qema", r.mode_acts, "of activations, in place of --qe-mode");
  group.add("--qe-mode-wts,--qemw", r.mode_wts, "of weights, in place of --qe-mode");
  group.add("--qe-bits-acts,--qeba", r.bits_acts,
            "bits of activations, 1..16, default 8; 0: float");
  group.add("--qe-bits-wts,--qebw", r.bits_wts, "bits of weights, 1..16, default 8; 0: float");
  group.add("--qe-bits-accum", r.bits_accum,
            "accumulator: one clamp of the complete sum; 2..32, default 32");
  group.add(
      "--qe-clip-acts,--qeca", r.clip_acts,
      "ranges of activations: none (default), avg, n_std, gauss, laplace; percentile, kl, mse");
  group.add("--qe-clip-n-stds", r.clip_n_stds, "standard deviations of n_std");
  group.add("--qe-percentile", r.percentile,
            "% of the values inside, of --qe-clip-acts percentile; default 99.99");
  group.add("--qe-no-clip-layers,--qencl", r.no_clip_layers,
            "layers that are not clipped (regular expressions)");
  group.add("--qe-no-quant-layers,--qenql", r.no_quant_layers,
            "layers left in float (regular expressions)");
  group.flag("--qe-per-channel,--qepc", r.per_channel, "weights: a scale for each output channel");
  group.add("--qe-scale-approx-bits,--qesab", r.scale_approx_bits,
            "scales as an integer of so many bits, 2..23, and a shift");
  group.flag("--qe-save-fp-weights", r.save_fp_weights, "accepted; changes no number");
  group.add("--qe-stats-file", r.stats_file,
            "ranges from this YAML (widthwise calibrate, Distiller)");
  group.flag("--qe-dynamic", r.dynamic, "ranges of each batch, as it comes");
  group.add("--qe-config-file", r.config_file,
            "all of these and settings by layer, from Distiller's YAML");
  group.add("--qe-calibration", r.calibration.fraction,
            "measure ranges on this part of the calibration data, above 0, up to 1");
  group.add("--settings-out", r.settings_out, "YAML of every layer's settings and scales");
  group.add("--qe-config-out", r.config_out, "these options as a configuration file");
  if (quantize_eval == nullptr) return;
  const OptionGroup calibration{
      verb, group.heading,
      group.add("--calibration-data", r.calibration.data, "measure ranges on this data first")};
  calibration.add(
      "--calibration-labels", r.calibration.labels,
      ".npy or .npz[:member] of an array's labels: classes that lie in order are spread");
  calibration.add("--calibration-subset", r.calibration.subset,
                  "of a folder of IDX files, default train");
  calibration.add("--calibration-images", r.calibration.images, "so many; 0: all; default 1024");
  calibration.add("--stats-out", r.stats_out, "YAML of what was measured");
}

void add_method_options(CLI::App& verb, MethodRequest& r) {
  const OptionGroup group{verb, "Few bits without training"};
  group.add("--preset", r.preset,
            "few-bits: mse ranges, scales per channel, rounding gptq, bias correction, 8 bits for "
            "sums and both ends (a configuration file states the first two itself)");
  group.add("--qe-clip-wts", r.clip_weights,
            "ranges of weights: minmax (default), mse, percentile");
  group.add("--qe-percentile-wts", r.weight_percentile, "% of weights inside");
  group.add("--rounding", r.rounding,
            "of weights: nearest (default), gptq (by the output's error)");
  group.flag("--bias-correction", r.bias_correction, "biases take up the mean error of outputs");
  group.flag("--equalize", r.equalize, "equalize the ranges of channels between layers first");
  group.add("--first-last-bits", r.first_last_bits,
            "bits of the first and the last layer, or float");
  group.add("--elementwise-bits", r.elementwise_bits, "bits of what sums and joins read");
  group.add("--points-lost", r.points_lost,
            "choose the widths of each layer: top-1 points to lose on labelled calibration inputs");
  group.add("--energy-budget-uj", r.energy_budget_uj,
            "or the energy of all multiply-accumulates of an image");
  group.add("--cost-table", r.cost_table, "that energies are from, default horowitz_45nm");
  group.flag("--signed-acts", r.signed_activations,
             "symmetric codes are signed behind a ReLU, too");
}

}  // namespace widthwise
