#pragma once
#include <boost/regex.hpp>
#include <optional>
#include <string>
#include <vector>

#include "quant/ptq_options.h"

namespace widthwise {

// A regular expression of module names (Perl's, by Boost.Regex), and where messages find it.
struct NamePattern {
  std::string pattern;
  std::string field;  // "overrides.conv.*", "--qe-no-clip-layers"
  int line = 0;       // 0: of no file
};
std::vector<NamePattern> named(const std::vector<PatternOverride>& entries);

// Which of some patterns decides a module; patterns do not add up.
//
// kNone: each pattern is to match a whole name by itself; the first that does decides, but one that
// is literally the name comes before all.
//
// kDistiller03, kDistiller04: the patterns are one regular expression (^p1$)|(^p2$)|... at the
// beginning of a name, and the number of the first group that takes part is that of the pattern. So
// groups in patterns shift it, to a later pattern or beyond the last, which is refused; of `a|b`
// only one side is anchored at the end. `empty[i]`: settings of none, whose literal name does not
// come first.
class PatternMatcher {
 public:
  // Throws InputError for what is no regular expression.
  PatternMatcher(std::vector<NamePattern> patterns, Compat compat, std::string file,
                 std::vector<bool> empty = {});

  std::optional<size_t> decides(const std::string& name) const;
  bool matches(size_t pattern, const std::string& name) const;  // by itself, the whole name

  [[noreturn]] void refuse(size_t pattern, const std::string& problem, const std::string& fix,
                           const std::string& key = "") const;

 private:
  [[noreturn]] void refuse_costly(size_t pattern, const std::string& name) const;
  boost::regex compile(const std::string& expression, size_t pattern) const;

  std::vector<NamePattern> patterns_;
  Compat compat_;
  std::string file_;
  std::vector<bool> empty_;
  std::vector<boost::regex> each_;
  boost::regex joined_;
};

}  // namespace widthwise
