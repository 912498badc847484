#include "core/error.h"

#include <fmt/format.h>

namespace widthwise {
namespace {

std::string describe(const InputProblem& p) {
  std::string text;
  for (const std::string* part : {&p.file, &p.where}) {
    if (!part->empty()) text += *part + ": ";
  }
  if (!p.field.empty()) text += p.field + " ";
  text += p.problem + ".";
  if (!p.fix.empty()) text += "\n  fix: " + p.fix;
  return text;
}

}  // namespace

InputError::InputError(InputProblem problem)
    : std::runtime_error(describe(problem)), problem_(std::move(problem)) {}

Interrupted::Interrupted(std::string work, double done_fraction)
    : std::runtime_error(
          fmt::format("interrupted: {} was {:.0f} % done", work, 100 * done_fraction)) {}

}  // namespace widthwise
