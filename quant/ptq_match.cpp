#include "quant/ptq_match.h"

#include <fmt/format.h>

#include <stdexcept>

#include "core/error.h"

namespace widthwise {
namespace {

constexpr size_t kMaxCharacters = 1000;

}  // namespace

std::vector<NamePattern> named(const std::vector<PatternOverride>& entries) {
  std::vector<NamePattern> result;
  for (const PatternOverride& entry : entries)
    result.push_back({entry.pattern, "overrides." + entry.pattern, entry.line});
  return result;
}

PatternMatcher::PatternMatcher(std::vector<NamePattern> patterns, Compat compat, std::string file,
                               std::vector<bool> empty)
    : patterns_(std::move(patterns)),
      compat_(compat),
      file_(std::move(file)),
      empty_(std::move(empty)) {
  empty_.resize(patterns_.size());
  std::string joined;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    const std::string& pattern = patterns_[i].pattern;
    if (pattern.empty() || pattern.size() > kMaxCharacters)
      refuse(i, fmt::format("has {} characters, allowed 1..{}", pattern.size(), kMaxCharacters),
             "give the name of a layer or a regular expression of names");
    each_.push_back(compile(pattern, i));
    joined += (i == 0 ? "(^" : "|(^") + pattern + "$)";
  }
  if (compat_ != Compat::kNone && !patterns_.empty()) joined_ = compile(joined, 0);
}

boost::regex PatternMatcher::compile(const std::string& expression, size_t pattern) const {
  try {
    return boost::regex(expression);
  } catch (const boost::regex_error& error) {
    refuse(pattern, fmt::format("is no regular expression: {}", error.what()),
           "write special characters with a backslash, such as \\. and \\[");
  }
}

void PatternMatcher::refuse(size_t pattern, const std::string& problem, const std::string& fix,
                            const std::string& key) const {
  const NamePattern& at = patterns_[pattern];
  throw InputError({.file = file_,
                    .where = at.line == 0 ? "" : fmt::format("line {}", at.line),
                    .field = at.field + (key.empty() ? "" : "." + key),
                    .problem = problem,
                    .fix = fix});
}

void PatternMatcher::refuse_costly(size_t pattern, const std::string& name) const {
  refuse(pattern, fmt::format("takes too many steps to compare with '{}'", name),
         "write a simpler pattern, without a repetition inside of a repetition");
}

bool PatternMatcher::matches(size_t pattern, const std::string& name) const {
  if (patterns_[pattern].pattern == name) return true;
  if (name.size() > kMaxCharacters)
    refuse(pattern, fmt::format("would be compared with a name of {} characters", name.size()),
           "shorten the layer's name");
  try {
    return boost::regex_match(name, each_[pattern]);
  } catch (const std::runtime_error&) {  // Boost.Regex counts its steps
    refuse_costly(pattern, name);
  }
}

std::optional<size_t> PatternMatcher::decides(const std::string& name) const {
  std::optional<size_t> literal;
  for (size_t i = 0; i < patterns_.size() && !literal; ++i) {
    if (patterns_[i].pattern == name && (compat_ == Compat::kNone || !empty_[i])) literal = i;
  }
  if (literal) return literal;
  if (compat_ == Compat::kNone) {
    for (size_t i = 0; i < patterns_.size(); ++i) {
      if (matches(i, name)) return i;
    }
    return std::nullopt;
  }
  boost::smatch groups;
  try {
    if (patterns_.empty() ||
        !boost::regex_search(name, groups, joined_, boost::regex_constants::match_continuous))
      return std::nullopt;
  } catch (const std::runtime_error&) {
    refuse_costly(0, name);
  }
  int group = 1;
  while (static_cast<size_t>(group) < groups.size() && !groups[group].matched) ++group;
  const auto pattern = static_cast<size_t>(group - 1);
  if (pattern >= patterns_.size())
    refuse(patterns_.size() - 1,
           fmt::format("is the last of {} patterns, but '{}' is matched by capture group {}: "
                       "groups in patterns shift the count",
                       patterns_.size(), name, group),
           "write (?:...) for each group, or leave out the compatibility");
  return pattern;
}

}  // namespace widthwise
