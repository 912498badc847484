#pragma once
#include <filesystem>
#include <string>

#include "core/progress.h"

namespace widthwise {

struct QuantizeRequest {
  std::string network;      // float
  std::string accelerator;  // its operand bits and requantizer decide the formats
  std::string data, subset = "train";
  std::filesystem::path preprocessing;  // empty: <network>.yaml
  int64_t images = 1024;  // for the ranges; 0: all. Spread over data that lies class by class
  bool per_tensor = false, symmetric = false;
  std::string format = "qcdq";  // qcdq, qonnx
  std::filesystem::path out;    // .onnx
};

// Calibrates and quantizes a float network for an accelerator and writes it as ONNX. Returns what
// to print.
std::string quantize_network(const QuantizeRequest& request, Progress& progress);

}  // namespace widthwise
