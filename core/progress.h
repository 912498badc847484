#pragma once
#include <cstdint>
#include <string>

namespace widthwise {

// Told by long work how far it is; cli shows it, everybody else ignores it. begin and end are
// called by one thread, advance by any. advance throws Interrupted when the user asked to stop.
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void begin(const std::string& work, int64_t total, const std::string& unit) = 0;
  virtual void advance(int64_t done) = 0;
  virtual void end() = 0;
  static Progress& none();
};

}  // namespace widthwise
