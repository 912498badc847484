#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "codegen/generate.h"

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

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "widthwise-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct ToolRun {
  int exit_code = 0;
  std::string output;  // both streams
};

// Runs a shell command in a folder.
inline ToolRun run_tool(const std::filesystem::path& folder, const std::string& command) {
  ToolRun run;
  const std::string line = "cd '" + folder.string() + "' && { " + command + "; } 2>&1 </dev/null";
  std::FILE* pipe = ::popen(line.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen failed");
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), pipe)) {
    run.output.append(buffer, count);
  }
  const int status = ::pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return run;
}

inline ToolRun run_bench(const std::filesystem::path& folder, const GeneratedArray& made) {
  return run_tool(folder, "iverilog -g2005 -Wall -o tb -s tb_" + made.module + " -c " +
                              made.module + ".f tb_" + made.module + ".v && vvp -n tb");
}

}  // namespace widthwise
