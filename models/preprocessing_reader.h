#pragma once
#include <yaml-cpp/yaml.h>

#include <limits>
#include <string>
#include <vector>

#include "models/preprocessing.h"

namespace widthwise {

// Reads the parts of a preprocessing's YAML, each of its own type; `field` names it in messages.
// Everything else throws InputError with the file and the line.
class PreprocessingReader {
 public:
  static constexpr float kAny = -std::numeric_limits<float>::infinity();

  explicit PreprocessingReader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void refuse(const YAML::Mark& mark, std::string field, std::string problem,
                           std::string fix) const;
  // `known` are all keys of the map, the first `required` of them must be there.
  void check_keys(const YAML::Node& map, const std::string& place,
                  const std::vector<std::string>& known, size_t required) const;
  float number(const YAML::Node& node, const std::string& field, float above = kAny) const;
  std::vector<float> numbers(const YAML::Node& node, const std::string& field,
                             float above = kAny) const;  // at least one
  int64_t integer(const YAML::Node& node, const std::string& field, int64_t low,
                  int64_t high) const;
  int64_t side(const YAML::Node& node, const std::string& field) const;    // pixels
  ImageSize size(const YAML::Node& node, const std::string& field) const;  // [rows, cols]
  std::string word(const YAML::Node& node, const std::string& field) const;
  std::string one_of(const YAML::Node& node, const std::string& field,
                     const std::vector<std::string>& allowed) const;

 private:
  std::string file_;
};

}  // namespace widthwise
