#pragma once
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/files.h"

namespace widthwise::testing_support {

struct Outcome {
  int exit_code = -1;  // 128 + signal if one ended it
  std::string out, err;
};

// Runs the built program in `folder`, its streams in files beside it. `meanwhile` is called with
// its process id. It is ended after three minutes.
inline Outcome run_program(const std::filesystem::path& folder, std::vector<std::string> arguments,
                           const std::function<void(pid_t)>& meanwhile = {}) {
  const std::string out = folder.string() + ".out", err = folder.string() + ".err";
  arguments.insert(arguments.begin(), WIDTHWISE_BINARY);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC, kMode = 0600;
    const bool ready = ::chdir(folder.c_str()) == 0 &&
                       ::dup2(::open(out.c_str(), kFlags, kMode), STDOUT_FILENO) >= 0 &&
                       ::dup2(::open(err.c_str(), kFlags, kMode), STDERR_FILENO) >= 0;
    ::alarm(180);
    if (ready) ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  if (meanwhile) meanwhile(child);
  int status = 0;
  ::waitpid(child, &status, 0);
  Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                  read_file(out, ""), read_file(err, "")};
  std::filesystem::remove(out);
  std::filesystem::remove(err);
  return outcome;
}

}  // namespace widthwise::testing_support
