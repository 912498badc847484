#include "cosim/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

#include "core/error.h"

extern char** environ;  // NOLINT: POSIX's name

namespace widthwise {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollInterval = std::chrono::milliseconds(5);
constexpr size_t kMaxOutput = 1 << 20;  // bytes kept

// An unnamed file that takes the program's output.
class OutputFile {
 public:
  OutputFile() : file_(std::tmpfile()) {}
  ~OutputFile() {
    if (file_ != nullptr) std::fclose(file_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  int descriptor() const { return file_ == nullptr ? -1 : ::fileno(file_); }
  std::string read() const {
    std::rewind(file_);
    std::string text(kMaxOutput, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }

 private:
  std::FILE* file_;
};

// Ends the group and reaps the child unless it has been waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() { end(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  bool finished(int& status) {
    const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
    if (reaped == 0 || (reaped < 0 && errno == EINTR)) return false;
    pid_ = -1;
    return true;
  }
  void end() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

[[noreturn]] void refuse_start(const std::string& program, int error, const std::string& fix) {
  throw InputError({.file = program,
                    .where = "",
                    .field = "",
                    .problem = fmt::format("cannot be started: {}", std::strerror(error)),
                    .fix = fix});
}

}  // namespace

fs::path find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder) / name;
    std::error_code missing;
    if (::access(candidate.c_str(), X_OK) == 0 && !fs::is_directory(candidate, missing)) {
      return candidate;
    }
  }
  return {};
}

ProcessResult run_process(const std::vector<std::string>& command, const fs::path& folder,
                          double timeout_seconds, const std::string& fix, Progress& progress,
                          const std::vector<std::string>& environment) {
  const std::string& program = command.at(0);
  const fs::path executable = find_program(program);
  if (executable.empty()) refuse_start(program, ENOENT, fix);
  const OutputFile output;
  if (output.descriptor() < 0) refuse_start(program, errno, "free some space for temporary files");

  std::vector<char*> arguments, variables;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  for (const std::string& entry : environment)
    variables.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry != nullptr; ++entry) variables.push_back(*entry);
  variables.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.descriptor(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.descriptor(), STDERR_FILENO);
  sigset_t none;  // of this program's blocked signals
  ::sigemptyset(&none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  const auto start = Clock::now();
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, executable.c_str(), &actions, &attributes, arguments.data(),
                                  variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) refuse_start(program, error, fix);

  Child child(pid);
  ProcessResult result;
  const auto elapsed = [&start] {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  int status = 0;
  while (!child.finished(status)) {
    if (elapsed() > timeout_seconds) {
      child.end();
      result.timed_out = true;
      break;
    }
    progress.advance(0);
    std::this_thread::sleep_for(kPollInterval);
  }
  result.wall_seconds = elapsed();
  result.output = output.read();
  if (!result.timed_out) {
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return result;
}

}  // namespace widthwise
