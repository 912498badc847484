#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "core/error.h"
#include "core/files.h"
#include "core/workload.h"
#include "hwmodel/accelerator.h"

namespace widthwise::hwmodel_test {

// A file in a folder of its own, removed with the object.
class ScratchFile {
 public:
  ScratchFile(const std::string& name, const std::string& content)
      : folder_(
            std::filesystem::temp_directory_path() /
            ("widthwise-hwmodel-" + std::to_string(::getpid()) + "-" + std::to_string(counter_++))),
        path_(folder_ / name) {
    std::filesystem::create_directories(folder_);
    write_file(path_, content);
  }
  ~ScratchFile() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  static inline int counter_ = 0;
  std::filesystem::path folder_, path_;
};

// `text` with its only occurrence of `from` replaced.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at == std::string::npos) return text;
  EXPECT_EQ(text.find(from, at + 1), std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// what() of the InputError that `action` throws.
template <class Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no InputError";
  return "";
}

// A convolution of `pixels` x `channels` per group over reductions of `ifmap_channels` per group.
inline MatmulWorkload matmul(int64_t pixels, int64_t channels, int64_t ifmap_channels,
                             int64_t groups = 1) {
  MatmulWorkload workload;
  workload.groups = groups;
  workload.window.ifmap_channels = groups * ifmap_channels;
  workload.window.ofmap_channels = groups * channels;
  workload.window.ifmap_rows = workload.window.ofmap_rows = pixels;
  return workload;
}

inline Accelerator dot_tree(int rows, int cols, int64_t lanes, int bits, BiasMode bias) {
  Accelerator accelerator;
  accelerator.file = "test.yaml";
  accelerator.array = {"dot_tree", rows, cols};
  Stage chain;
  chain.bits = bits;
  accelerator.datapath.accumulation.stages = {Stage{Stage::Kind::kTree, lanes}, chain};
  accelerator.datapath.accumulation.bias = bias;
  accelerator.memory = {{1, 1}, {1, 1}, {1, 1}, {0, 1}};
  return accelerator;
}

}  // namespace widthwise::hwmodel_test
