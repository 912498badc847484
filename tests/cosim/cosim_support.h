#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "cosim/cosimulate.h"

namespace widthwise {

inline Accelerator make_accelerator(int rows, int cols, IntegerFormat ifmap, IntegerFormat weight,
                                    int lanes, int acc_bits, OverflowPolicy overflow,
                                    BiasMode bias = BiasMode::kPreload) {
  Accelerator accelerator;
  accelerator.file = "test.yaml";
  accelerator.name = "test";
  accelerator.array = {"dot_tree", rows, cols};
  accelerator.datapath.ifmap = ifmap;
  accelerator.datapath.weight = weight;
  Accumulation& accumulation = accelerator.datapath.accumulation;
  accumulation.stages.clear();
  if (lanes > 1) accumulation.stages.push_back({.kind = Stage::Kind::kTree, .length = lanes});
  accumulation.stages.push_back({.bits = acc_bits, .overflow = overflow});
  accumulation.bias = bias;
  return accelerator;
}

// A work folder of this process, removed at the end; compiled models stay in cosim-cache below the
// current folder (the build tree's, under CTest), so that only the first run compiles.
class CosimFolders {
 public:
  CosimFolders()
      : work_(std::filesystem::current_path() / "cosim-work" / std::to_string(::getpid())) {
    std::filesystem::create_directories(work_);
  }
  ~CosimFolders() {
    std::error_code ignored;
    std::filesystem::remove_all(work_, ignored);
  }
  CosimOptions options() const {
    CosimOptions options;
    options.work_folder = work_;
    options.cache_folder = std::filesystem::current_path() / "cosim-cache";
    return options;
  }
  const std::filesystem::path& work() const { return work_; }

 private:
  std::filesystem::path work_;
};

// For EXPECT_TRUE(match(result)): the first differences in the message.
inline testing::AssertionResult match(const CosimResult& result) {
  if (result.match()) return testing::AssertionSuccess();
  auto failure = testing::AssertionFailure() << result.mismatch_count << " differences";
  for (const CosimMismatch& m : result.first_mismatches) {
    failure << "\n  " << m.quantity << (m.gaps ? " with gaps" : "") << " tile " << m.tile << " PE "
            << m.row << "," << m.col << ": expected " << m.expected << ", got " << m.got;
  }
  return failure;
}

}  // namespace widthwise
