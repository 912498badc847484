#pragma once
#include <yaml-cpp/yaml.h>

#include <string>
#include <vector>

#include "quant/statistics.h"

namespace widthwise {

// Reads the parts of a statistics file (quant/statistics_yaml.h); `field` names them in messages.
// What is not as it must be throws InputError with the file and the line.
class StatisticsRecordReader {
 public:
  explicit StatisticsRecordReader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void refuse(const YAML::Mark& mark, std::string field, std::string problem,
                           std::string fix) const;
  YAML::Node parse(const std::string& text) const;

  struct Item {
    std::string key;
    YAML::Node value;
    YAML::Mark mark;  // of the key
  };
  std::vector<Item> items(const YAML::Node& map, const std::string& field) const;  // in file order
  int input_index(const std::string& key, const YAML::Mark& mark, const std::string& field) const;
  TensorStatistics record(const YAML::Node& node, const std::string& field) const;

 private:
  double number(const YAML::Node& node, const std::string& field) const;
  double deviation(const YAML::Node& node, const std::string& field) const;  // at least 0
  int64_t count(const YAML::Node& node, const std::string& field) const;
  std::vector<int64_t> shape(const std::string& text, const YAML::Mark& mark,
                             const std::string& field) const;
  Histogram histogram(const YAML::Node& node, const std::string& field) const;
  void check(const TensorStatistics& s, const YAML::Mark& mark, const std::string& field) const;

  std::string file_;
};

}  // namespace widthwise
