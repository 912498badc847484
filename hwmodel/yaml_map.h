#pragma once
#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace widthwise {

// One map of a YAML file, read strictly: unknown, doubled and missing keys, wrong types and values
// out of range throw InputError with file, line, field ("array.rows"), what is allowed and a fix.
// Numbers are plain decimals and truth values are `true` and `false`: quoted ones are text.
class YamlMap {
 public:
  using Names = std::vector<std::string>;

  // The file's only document, at most 1 MiB of text. `example` is named in the fixes: a file to
  // look at. Any trouble on the way is an InputError.
  static YamlMap load(const std::filesystem::path& path, const Names& known,
                      const std::string& example);

  bool has(const std::string& key) const;
  Names keys() const;  // in the file's order

  YamlMap map(const std::string& key, const Names& known) const;
  YamlMap open_map(const std::string& key) const;  // any keys, for maps keyed by the user's names
  std::vector<YamlMap> maps(const std::string& key) const;  // list of maps; check() them
  void check(const Names& known) const;                     // no key but these

  std::string text(const std::string& key) const;  // not empty, one line
  Names texts(const std::string& key) const;       // list of such
  bool boolean(const std::string& key) const;      // true, false
  int64_t integer(const std::string& key, int64_t low, int64_t high) const;
  int64_t integer_or_word(const std::string& key, int64_t low, int64_t high,
                          const std::map<std::string, int64_t>& words) const;
  double positive(const std::string& key) const;                           // finite, > 0
  std::pair<double, double> positive_range(const std::string& key) const;  // x or [low, high]
  size_t choice(const std::string& key, const Names& names) const;         // index into names

  [[noreturn]] void refuse(const std::string& key, const std::string& problem,
                           const std::string& fix = "") const;

 private:
  struct Document {
    std::string file, example;
  };
  YamlMap(std::shared_ptr<const Document> document, YAML::Node node, std::string field);
  [[noreturn]] void refuse_at(const YAML::Node& node, const std::string& field,
                              const std::string& problem, const std::string& fix) const;
  std::string field(const std::string& key) const;
  YAML::Node value(const std::string& key) const;
  YAML::Node list(const std::string& key) const;
  double positive_at(const YAML::Node& node, const std::string& field) const;

  std::shared_ptr<const Document> document_;
  YAML::Node node_;
  std::string field_;  // "" for the whole file
};

}  // namespace widthwise
