#include "cli/terminal_progress.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <thread>

#include "core/error.h"

namespace widthwise {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr const char* kClearLine = "\r\033[K";

std::atomic<bool> interrupted = false;

sigset_t interrupts() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  return set;
}

// The first one is told to the work, which ends soon; a second one ends the program at once, unless
// it comes with the first, as timeout(1) sends them.
void wait_for_interrupts() {
  constexpr auto kTogether = std::chrono::milliseconds(300);
  const sigset_t set = interrupts();
  int signal = 0;
  std::optional<Clock::time_point> first;
  while (true) {
    if (::sigwait(&set, &signal) != 0) continue;
    if (first && Clock::now() - *first >= kTogether) break;
    if (!first) first = Clock::now();
    interrupted = true;
  }
  std::signal(SIGINT, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::raise(SIGINT);
}

}  // namespace

// A thread of its own waits for Ctrl-C, and no other takes it, those to come included: oneDNN's
// kernels use the stack pointer for something else, so that a handler on their thread writes its
// frame wherever that points to.
TerminalProgress::TerminalProgress() : visible_(::isatty(STDERR_FILENO) != 0) {
  static std::once_flag once;
  std::call_once(once, [] {
    const sigset_t set = interrupts();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::thread(wait_for_interrupts).detach();
  });
}

void TerminalProgress::begin(const std::string& work, int64_t total, const std::string& unit) {
  work_ = work;
  unit_ = unit;
  total_ = total;
  done_ = 0;
  started_ = shown_ = Clock::now();
  show();
}

void TerminalProgress::advance(int64_t done) {
  done_ += done;
  const auto total = static_cast<double>(std::max<int64_t>(total_, 1));
  if (interrupted) throw Interrupted(work_, static_cast<double>(done_) / total);
  if (!visible_) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock && Clock::now() - shown_ >= kInterval) {
    shown_ = Clock::now();
    show();
  }
}

void TerminalProgress::end() {
  if (visible_) fmt::print(stderr, "{}", kClearLine);
  std::fflush(stderr);
}

void TerminalProgress::show() {
  if (!visible_) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - started_).count();
  const auto done = static_cast<double>(done_), total = static_cast<double>(total_);
  std::string line =
      fmt::format("{}{}: {} of {} {}", kClearLine, work_, done_.load(), total_, unit_);
  if (done > 0 && seconds > 0) {
    const double rate = done / seconds;
    line += fmt::format(", {:.0f} {}/s, {:.0f} s left", rate, unit_, (total - done) / rate);
  }
  fmt::print(stderr, "{}", line);
  std::fflush(stderr);
}

}  // namespace widthwise
