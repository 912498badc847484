#pragma once
#include <limits>
#include <stdexcept>
#include <string>

namespace widthwise {

// Where bad input was found, what is wrong, and one way to mend it. Empty parts are left out.
struct InputProblem {
  std::string file;     // path as the user gave it
  std::string where;    // place in the file: "layer 'conv2'", "line 7"
  std::string field;    // "requantize.shift"
  std::string problem;  // "is 71, allowed 0..62"
  std::string fix;      // "recalibrate with --per-channel"
};

// Bad input of a user. what() is
//   <file>: <where>: <field> <problem>.
//     fix: <fix>
// Libraries throw it; only cli prints it. Our own bugs are asserts (std::logic_error).
class InputError : public std::runtime_error {
 public:
  explicit InputError(InputProblem problem);
  const InputProblem& problem() const { return problem_; }

 private:
  InputProblem problem_;
};

// The user asked to stop (Ctrl-C). Long work throws it at a safe point; nothing is left
// half-written.
class Interrupted : public std::runtime_error {
 public:
  Interrupted(std::string work, double done_fraction);
};

// The first ones, for messages: "a, b, ... (40 in all)".
template <class Names>
std::string some_names(const Names& names, size_t shown = 12) {
  std::string text;
  size_t count = 0;
  for (const auto& name : names) {
    if (count++ < shown) text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return count > shown ? text + ", ... (" + std::to_string(count) + " in all)" : text;
}

// "a, b, c": for messages that list the known names.
template <class Names>
std::string list_names(const Names& names) {
  return some_names(names, std::numeric_limits<size_t>::max());
}

}  // namespace widthwise
