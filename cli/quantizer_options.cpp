#include "cli/quantizer_options.h"

namespace widthwise {

void add_quantizer_options(CLI::App& verb, PtqRequest& r) {
  constexpr const char* kGroup = "Post-training quantization";
  const auto add = [&](const char* names, auto& to, const char* text) {
    return verb.add_option(names, to, text)->group(kGroup);
  };
  const auto flag = [&](const char* names, bool& to, const char* text) {
    verb.add_flag(names, to, text)->group(kGroup);
  };
  add("--compat", r.compat, "whose arithmetic: none, distiller-0.3, distiller-0.4")
      ->capture_default_str();
  add("--qe-mode,--qem", r.mode, "sym (default), sym_restr, asym_u, asym_s");
  add("--qe-mode-acts,--qema", r.mode_acts, "of activations, in place of --qe-mode");
  add("--qe-mode-wts,--qemw", r.mode_wts, "of weights, in place of --qe-mode");
  add("--qe-bits-acts,--qeba", r.bits_acts, "bits of activations, default 8; 0: float");
  add("--qe-bits-wts,--qebw", r.bits_wts, "bits of weights, default 8; 0: float");
  add("--qe-bits-accum", r.bits_accum, "accumulator: one clamp of the complete sum; default 32");
  add("--qe-clip-acts,--qeca", r.clip_acts,
      "ranges of activations: none (default), avg, n_std, gauss, laplace");
  add("--qe-clip-n-stds", r.clip_n_stds, "standard deviations of n_std");
  add("--qe-no-clip-layers,--qencl", r.no_clip_layers,
      "layers that are not clipped (regular expressions)");
  add("--qe-no-quant-layers,--qenql", r.no_quant_layers,
      "layers left in float (regular expressions)");
  flag("--qe-per-channel,--qepc", r.per_channel, "weights: a scale for each output channel");
  add("--qe-scale-approx-bits,--qesab", r.scale_approx_bits,
      "scales as an integer of so many bits and a shift");
  flag("--qe-save-fp-weights", r.save_fp_weights, "accepted; changes no number");
  add("--qe-stats-file", r.stats_file, "ranges from this YAML (widthwise calibrate, Distiller)");
  flag("--qe-dynamic", r.dynamic, "ranges of each batch, as it comes");
  add("--qe-config-file", r.config_file,
      "all of these and settings by layer, from Distiller's YAML");
  add("--calibration-data", r.calibration.data, "measure ranges on this data first");
  add("--calibration-subset", r.calibration.subset, "of a folder of IDX files")
      ->capture_default_str();
  add("--calibration-images", r.calibration.images, "so many; 0: all; default 1024");
  add("--qe-calibration", r.calibration.fraction, "or this part of them, above 0, up to 1");
  add("--stats-out", r.stats_out, "YAML of what was measured");
  add("--settings-out", r.settings_out, "YAML of every layer's settings and scales");
}

}  // namespace widthwise
