#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/calibrate.h"
#include "core/error.h"
#include "quant/match_statistics.h"
#include "quant/ptq_options.h"

namespace widthwise {

// Distiller's options of post-training quantization, as they are typed (--qe-...), and where ranges
// come from. An option that is empty was not given.
struct PtqRequest {
  std::string compat = "none";
  std::optional<std::string> mode, mode_acts, mode_wts;  // sym, sym_restr, asym_u, asym_s
  std::optional<int> bits_acts, bits_wts;                // 0: float
  std::optional<int> bits_accum;
  std::optional<std::string> clip_acts;
  std::optional<double> clip_n_stds, percentile;
  std::vector<std::string> no_clip_layers, no_quant_layers;
  bool per_channel = false, save_fp_weights = false;
  std::optional<int> scale_approx_bits;
  std::string stats_file, config_file;
  bool dynamic = false;
  CalibrationData calibration;         // its fraction is --qe-calibration
  std::filesystem::path stats_out;     // of a calibration; empty: none
  std::filesystem::path settings_out;  // YAML of the resolved settings; empty: none
  std::filesystem::path config_out;    // YAML of the options as a configuration file; empty: none

  // Names of the options that are given and state what a configuration file could, and of those
  // among them that state formats: all but the clipping of activations.
  std::vector<std::string> settings() const;
  std::vector<std::string> formats() const;
};

// The options by themselves or as the configuration file has them, checked. Throws InputError for
// unknown names and for combinations that mean nothing: two of statistics file, dynamic,
// calibration and configuration file; a configuration file and options beside it; but for the
// releases, options without any effect.
PtqOptions ptq_options(const PtqRequest& request);

// Writes the options as a configuration file where the request asks for it: one that names the
// statistics that the request writes. `beside`: other options of the verb that it has no keys for.
// Returns a line to print that names those and the request's; empty: there are none.
std::string write_config(const PtqRequest& request, PtqOptions options,
                         std::vector<std::string> beside = {});

// What `quantize` returns; what it refuses of statistics is said of their file.
template <class Quantize>
auto of_statistics(const std::string& file, const Quantize& quantize) {
  try {
    return quantize();
  } catch (const InputError& error) {
    InputProblem problem = error.problem();
    if (problem.where == "statistics" || problem.field.starts_with("statistics"))
      problem.file = file;
    throw InputError(problem);
  }
}

// What was found in a statistics file by its numbers, and what belongs to no layer.
std::string matched_text(const MatchedStatistics& matched, const std::string& file);

}  // namespace widthwise
