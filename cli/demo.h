#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "core/progress.h"

namespace widthwise {

struct DemoOptions {
  std::string command;  // as typed, for the report
  std::string model = "resnet8";
  std::filesystem::path data = "/usr/share/datasets/fashion-mnist";
  std::vector<std::string> accelerators = {"edge-int8", "edge-int4"};
  std::filesystem::path out = "widthwise-demo";
  int64_t images = 0;  // 0: all test images
  int64_t calibration_images = 1024;
  int64_t sweep_widths = 8;  // accumulator widths below the observed one that are run
  bool per_tensor = false;   // weights: one scale per tensor, not per output channel
  bool symmetric = false;    // activations: zero point 0
  bool cosim = true;
};

// The whole way: float baseline, calibration, quantization (below 8 bits with
// add_calibrated_methods()), bit-accurate runs, census, accuracy
// over accumulator widths, cost, Verilog and its co-simulation. Writes demo.json, index.html, the
// quantized networks and the generated Verilog into options.out, which appears whole or not at all.
// Returns the tables for the terminal and whether every comparison held.
struct DemoOutcome {
  std::string text;
  bool match = true;
};
DemoOutcome run_demo(const DemoOptions& options, Progress& progress);

}  // namespace widthwise
