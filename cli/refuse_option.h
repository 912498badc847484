#pragma once
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

}  // namespace widthwise
