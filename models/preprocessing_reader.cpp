#include "models/preprocessing_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"

namespace widthwise {

void PreprocessingReader::refuse(const YAML::Mark& mark, std::string field, std::string problem,
                                 std::string fix) const {
  throw InputError({.file = file_,
                    .where = mark.is_null() ? "" : fmt::format("line {}", mark.line + 1),
                    .field = std::move(field),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

void PreprocessingReader::check_keys(const YAML::Node& map, const std::string& place,
                                     const std::vector<std::string>& known, size_t required) const {
  if (!map.IsMap())
    refuse(map.Mark(), place, fmt::format("must be a map of {}", list_names(known)),
           "see models/zoo for examples");
  std::set<std::string> seen;
  for (const auto& item : map) {
    if (!item.first.IsScalar())
      refuse(item.first.Mark(), place, "has a key that is no text", "remove it");
    const std::string& key = item.first.Scalar();
    const std::string field = place.empty() ? key : place + "." + key;
    if (std::find(known.begin(), known.end(), key) == known.end())
      refuse(item.first.Mark(), field,
             fmt::format("is an unknown key; known are {}", list_names(known)), "remove it");
    if (!seen.insert(key).second)
      refuse(item.first.Mark(), field, "is given twice", "keep one of them");
  }
  for (size_t i = 0; i < required; ++i) {
    if (!seen.contains(known[i]))
      refuse(map.Mark(), place.empty() ? known[i] : place + "." + known[i], "is missing", "add it");
  }
}

float PreprocessingReader::number(const YAML::Node& node, const std::string& field,
                                  float above) const {
  float value = 0;
  const bool parsed = node.IsScalar() && YAML::convert<float>::decode(node, value);
  if (!parsed || !std::isfinite(value) || value <= above) {
    refuse(node.Mark(), field,
           fmt::format("must be a finite number{}", above == 0 ? " above 0" : ""), "correct it");
  }
  return value;
}

std::vector<float> PreprocessingReader::numbers(const YAML::Node& node, const std::string& field,
                                                float above) const {
  if (!node.IsSequence() || node.size() == 0)
    refuse(node.Mark(), field, "must be a list of numbers, one per channel", "correct it");
  std::vector<float> values;
  for (const YAML::Node& entry : node) values.push_back(number(entry, field, above));
  return values;
}

int64_t PreprocessingReader::integer(const YAML::Node& node, const std::string& field, int64_t low,
                                     int64_t high) const {
  int64_t value = 0;
  const bool parsed = node.IsScalar() && YAML::convert<int64_t>::decode(node, value);
  if (!parsed || value < low || value > high)
    refuse(node.Mark(), field, fmt::format("must be a whole number of {}..{}", low, high),
           "correct it");
  return value;
}

int64_t PreprocessingReader::side(const YAML::Node& node, const std::string& field) const {
  constexpr int64_t kMaxGivenSide = 8192;  // kMaxPixels as a square
  return integer(node, field, 1, kMaxGivenSide);
}

ImageSize PreprocessingReader::size(const YAML::Node& node, const std::string& field) const {
  if (!node.IsSequence() || node.size() != 2)
    refuse(node.Mark(), field, "must be a number of pixels or [rows, cols]", "correct it");
  return {.rows = side(node[0], field), .cols = side(node[1], field)};
}

std::string PreprocessingReader::one_of(const YAML::Node& node, const std::string& field,
                                        const std::vector<std::string>& allowed) const {
  const std::string value = word(node, field);
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    refuse(node.Mark(), field, fmt::format("is {}, allowed {}", value, list_names(allowed)),
           "name one of these");
  return value;
}

std::string PreprocessingReader::word(const YAML::Node& node, const std::string& field) const {
  if (!node.IsScalar() || node.Scalar().empty())
    refuse(node.Mark(), field, "must be text", "correct it");
  return node.Scalar();
}

}  // namespace widthwise
