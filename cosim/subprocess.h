#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "core/progress.h"

namespace widthwise {

struct ProcessResult {
  int exit_code = 0;       // 128 + the signal's number when one ended it
  bool timed_out = false;  // it was ended after `timeout_seconds`
  std::string output;      // standard output and error, in order
  double wall_seconds = 0;

  bool ok() const { return exit_code == 0 && !timed_out; }
};

// Runs a program (found in PATH) in `folder` with no standard input, in a process group of its own
// that is ended as a whole when the time is up or `progress` throws. `environment` has further
// NAME=value entries. Throws InputError with `fix` when the program cannot be started.
ProcessResult run_process(const std::vector<std::string>& command,
                          const std::filesystem::path& folder, double timeout_seconds,
                          const std::string& fix, Progress& progress = Progress::none(),
                          const std::vector<std::string>& environment = {});

// Full path of a program in PATH, or empty.
std::filesystem::path find_program(const std::string& name);

}  // namespace widthwise
