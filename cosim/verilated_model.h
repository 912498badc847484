#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "codegen/generate.h"
#include "codegen/vectors.h"
#include "core/progress.h"

namespace widthwise {

// What a model gave for one pass of a stimulus file.
struct ModelResults {
  int64_t cycles = 0;                        // from the first beat to the last result, both counted
  std::vector<std::vector<PeResult>> tiles;  // in order of arrival, [rows * cols] each
};

// A generated array compiled by Verilator together with cosim/harness/harness.cpp.
class VerilatedModel {
 public:
  // Builds it in cache_folder, or takes what an earlier build of the same Verilog, harness and
  // Verilator left there. Throws InputError with the tool's first error lines when Verilator is
  // missing, the Verilog is refused, or the build takes longer than timeout_seconds.
  VerilatedModel(const GeneratedArray& array, const std::filesystem::path& folder,
                 const std::filesystem::path& cache_folder, double timeout_seconds,
                 Progress& progress);

  // Runs the stimulus; gap_seed 0 leaves no idle cycle between beats. Files go to work_folder.
  ModelResults run(const std::filesystem::path& stimulus, uint32_t gap_seed,
                   const std::filesystem::path& work_folder, Progress& progress) const;

  bool from_cache() const { return from_cache_; }
  double build_seconds() const { return build_seconds_; }
  const std::string& verilator_version() const { return version_; }

 private:
  ArrayParameters array_;
  std::filesystem::path executable_;
  std::string version_;
  double timeout_seconds_, build_seconds_ = 0;
  bool from_cache_ = true;
};

}  // namespace widthwise
