#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "core/progress.h"

namespace widthwise {

struct RunRequest {
  std::string command;  // as typed, for the result
  std::string network;
  std::vector<std::string> inputs;  // "<name>=<file>", or "<file>" for the only input
  std::string accelerator;          // empty: exact sums, ONNX Runtime's requantizer
  std::filesystem::path out;
  bool accumulators = false, codes = false;
  bool json = false;
};

// Executes a network on given tensors and writes into request.out, which appears whole or not at
// all: every output as <output>.npy; on request accumulators/<node>.npy (before requantization,
// with the bias) with accumulators/<node>.overflows.npy, and codes/<value>.npy for every value of
// integers; run.json with shapes, files, the extremes of all sums and the counts of overflows.
// Returns what to print: run.json, or a table of it.
std::string run_network(const RunRequest& request, Progress& progress);

}  // namespace widthwise
