#pragma once
#include <fmt/format.h>

#include <string>

#include "core/error.h"

namespace widthwise {

// Refuses an option of the command line, or several that do not go together.
[[noreturn]] inline void refuse_option(std::string option, std::string problem, std::string fix) {
  throw InputError({.file = "",
                    .where = "",
                    .field = std::move(option),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

// Of values inside.
inline void check_percent(const std::string& option, double value, const std::string& fix) {
  if (!(value > 0 && value <= 100))
    refuse_option(option, fmt::format("is {}, allowed above 0 and up to 100", value), fix);
}

}  // namespace widthwise
