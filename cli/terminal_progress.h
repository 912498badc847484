#pragma once
#include <atomic>
#include <chrono>
#include <mutex>

#include "core/progress.h"

namespace widthwise {

// One line on stderr that is written over: what, how far, how fast, time left. Silent when stderr
// is no terminal. advance() throws Interrupted once Ctrl-C was pressed.
class TerminalProgress : public Progress {
 public:
  TerminalProgress();  // takes SIGINT over; before any other thread is made
  void begin(const std::string& work, int64_t total, const std::string& unit) override;
  void advance(int64_t done) override;
  void end() override;

 private:
  void show();

  bool visible_;
  std::string work_, unit_;
  int64_t total_ = 0;
  std::atomic<int64_t> done_{0};
  std::chrono::steady_clock::time_point started_, shown_;
  std::mutex mutex_;
};

}  // namespace widthwise
