#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "cli/ptq_request.h"
#include "core/progress.h"

namespace widthwise {

// How codes are chosen beyond Distiller's options; an option that is empty was not given.
struct MethodRequest {
  std::string preset;                       // "few-bits" (see calibrated_config()), or empty
  std::optional<std::string> clip_weights;  // minmax, mse, percentile
  std::optional<double> weight_percentile;
  std::optional<std::string> rounding;  // nearest, gptq
  bool bias_correction = false, equalize = false, signed_activations = false;
  std::optional<std::string> first_last_bits;  // a number, or "float"
  std::optional<int> elementwise_bits;
  // Widths layer by layer, from 8 bits down: as narrow as the points that top-1 may lose on the
  // labelled calibration inputs allow, or as wide as the energy per image of the multiply-
  // accumulates does.
  std::optional<double> points_lost, energy_budget_uj;
  std::string cost_table;  // empty: horowitz_45nm
};

struct QuantizeRequest {
  std::string network;      // float
  std::string accelerator;  // its operand bits and requantizer decide the formats; or empty
  std::string data, labels;
  std::optional<std::string> subset;           // of an IDX folder; without: train
  std::filesystem::path preprocessing;         // empty: <network>.yaml
  std::optional<int64_t> images;               // for the ranges; 0: all. Spread over data by class
  bool per_tensor = false, symmetric = false;  // beside an accelerator; the first, a preset, too
  PtqRequest ptq;
  MethodRequest methods;
  std::string format = "qcdq";  // qcdq, qonnx
  std::filesystem::path out;    // .onnx
};

// Quantizes a float network, for an accelerator or by Distiller's options, and writes it as ONNX.
// Returns what to print.
std::string quantize_network(const QuantizeRequest& request, Progress& progress);

}  // namespace widthwise
