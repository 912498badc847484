#include "hwmodel/yaml_map.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/files.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

constexpr uintmax_t kMaxFileBytes = 1 << 20;

std::string place(const YAML::Mark& mark) {
  return mark.is_null() ? "" : fmt::format("line {}", mark.line + 1);
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Text of the user's, made fit for a message.
std::string quoted(const std::string& text) {
  std::string shown = text.substr(0, 40);
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  return "'" + shown + (text.size() > 40 ? "...'" : "'");
}

std::string shown(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return (node.Tag() == "!" ? "the text " : "") + quoted(node.Scalar());
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a map";
    default:
      return "empty";
  }
}

template <class Number>
std::optional<Number> number(const YAML::Node& node) {
  if (!node.IsScalar() || node.Tag() == "!") return std::nullopt;
  const std::string& text = node.Scalar();
  Number parsed{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return parsed;
}

// Where a second document starts, if there is one. YAML::LoadAll is of no use: a stray ',' at the
// outermost level makes it return documents without end, and YAML::Load ignores what follows it.
std::optional<YAML::Mark> second_document(const std::string& text) {
  struct : YAML::EventHandler {
    void OnDocumentStart(const YAML::Mark& mark) override { last = mark; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
    YAML::Mark last;
  } places;
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  if (!parser.HandleNextDocument(places) || !parser.HandleNextDocument(places)) return std::nullopt;
  return places.last;
}

}  // namespace

YamlMap::YamlMap(std::shared_ptr<const Document> document, YAML::Node node, std::string field)
    : document_(std::move(document)), node_(std::move(node)), field_(std::move(field)) {}

YamlMap YamlMap::load(const fs::path& path, const Names& known, const std::string& example) {
  const std::string fix = "give a YAML file like " + example;
  const auto refuse_file = [&](const std::string& where, const std::string& problem) {
    throw InputError(
        {.file = path.string(), .where = where, .field = "", .problem = problem, .fix = fix});
  };
  std::error_code error;
  const bool special = fs::exists(path, error) && !fs::is_directory(path, error) &&
                       !fs::is_regular_file(path, error);
  if (special) refuse_file("", "is not a regular file");
  const uintmax_t bytes = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
  if (!error && bytes > kMaxFileBytes)
    refuse_file("", fmt::format("has {} bytes, allowed {}", bytes, kMaxFileBytes));
  const std::string text = read_file(path, fix);
  const auto bad = std::find_if(text.begin(), text.end(), [](char c) {
    return is_control(c) && c != '\t' && c != '\n' && c != '\r';
  });
  if (bad != text.end()) {
    refuse_file(fmt::format("line {}", 1 + std::count(text.begin(), bad, '\n')),
                fmt::format("is not text: it holds the byte 0x{:02x}", *bad));
  }
  YAML::Node root;
  try {
    if (const auto second = second_document(text))
      refuse_file(place(*second), "starts a second document or holds a stray ',', ']' or '}'");
    root = YAML::Load(text);
  } catch (const YAML::Exception& problem) {
    refuse_file(place(problem.mark), "is not valid YAML: " + problem.msg);
  }
  if (root.IsNull()) refuse_file("", "is empty, a map is needed");
  if (!root.IsMap()) refuse_file("line 1", "is " + shown(root) + ", not a map");
  YamlMap top(std::make_shared<Document>(Document{path.string(), example}), root, "");
  top.check(known);
  return top;
}

std::string YamlMap::field(const std::string& key) const {
  return field_.empty() ? key : field_ + (key.empty() ? "" : "." + key);
}

void YamlMap::refuse_at(const YAML::Node& node, const std::string& field,
                        const std::string& problem, const std::string& fix) const {
  throw InputError({.file = document_->file,
                    .where = place(node.Mark()),
                    .field = field,
                    .problem = problem,
                    .fix = fix.empty() ? "see the comments in " + document_->example : fix});
}

void YamlMap::refuse(const std::string& key, const std::string& problem,
                     const std::string& fix) const {
  refuse_at(has(key) ? value(key) : node_, field(key), problem, fix);
}

void YamlMap::check(const Names& known) const {
  keys();
  for (const auto& pair : node_) {
    const std::string& key = pair.first.Scalar();
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      refuse_at(pair.first, field_, "has the unknown key " + quoted(key),
                "known keys: " + list_names(known));
    }
  }
}

YamlMap::Names YamlMap::keys() const {
  Names names;
  std::set<std::string> seen;
  for (const auto& pair : node_) {
    if (!pair.first.IsScalar() || pair.first.Scalar().empty())
      refuse_at(pair.first, field_, "has a key that is " + shown(pair.first) + ", not a name", "");
    const std::string key = pair.first.Scalar();
    if (!seen.insert(key).second)
      refuse_at(pair.first, field_, "has the key " + quoted(key) + " twice", "remove one");
    names.push_back(key);
  }
  return names;
}

bool YamlMap::has(const std::string& key) const {
  return std::any_of(node_.begin(), node_.end(), [&](const auto& pair) {
    return pair.first.IsScalar() && pair.first.Scalar() == key;
  });
}

YAML::Node YamlMap::value(const std::string& key) const {
  for (const auto& pair : node_) {
    if (pair.first.IsScalar() && pair.first.Scalar() == key) return pair.second;
  }
  refuse_at(node_, field(key), "is missing", "");
}

YamlMap YamlMap::open_map(const std::string& key) const {
  const YAML::Node node = value(key);
  if (!node.IsMap()) refuse_at(node, field(key), "is " + shown(node) + ", a map is needed", "");
  YamlMap child(document_, node, field(key));
  child.keys();
  return child;
}

YamlMap YamlMap::map(const std::string& key, const Names& known) const {
  YamlMap child = open_map(key);
  child.check(known);
  return child;
}

YAML::Node YamlMap::list(const std::string& key) const {
  const YAML::Node node = value(key);
  if (!node.IsSequence())
    refuse_at(node, field(key), "is " + shown(node) + ", a list is needed", "");
  return node;
}

std::vector<YamlMap> YamlMap::maps(const std::string& key) const {
  std::vector<YamlMap> children;
  for (const auto& node : list(key)) {
    const std::string name = fmt::format("{}[{}]", field(key), children.size());
    if (!node.IsMap()) refuse_at(node, name, "is " + shown(node) + ", a map is needed", "");
    children.push_back(YamlMap(document_, node, name));
  }
  return children;
}

std::string YamlMap::text(const std::string& key) const {
  const YAML::Node node = value(key);
  if (!node.IsScalar() || node.Scalar().empty() ||
      std::any_of(node.Scalar().begin(), node.Scalar().end(), is_control)) {
    refuse_at(node, field(key), "is " + shown(node) + ", one line of text is needed", "");
  }
  return node.Scalar();
}

YamlMap::Names YamlMap::texts(const std::string& key) const {
  Names names;
  for (const auto& node : list(key)) {
    if (!node.IsScalar() || node.Scalar().empty())
      refuse_at(node, field(key), "holds " + shown(node) + ", only names are allowed", "");
    names.push_back(node.Scalar());
  }
  return names;
}

bool YamlMap::boolean(const std::string& key) const {
  const YAML::Node node = value(key);
  const bool plain = node.IsScalar() && node.Tag() != "!";
  if (!plain || (node.Scalar() != "true" && node.Scalar() != "false"))
    refuse_at(node, field(key), "is " + shown(node) + ", allowed true, false", "");
  return node.Scalar() == "true";
}

int64_t YamlMap::integer(const std::string& key, int64_t low, int64_t high) const {
  return integer_or_word(key, low, high, {});
}

int64_t YamlMap::integer_or_word(const std::string& key, int64_t low, int64_t high,
                                 const std::map<std::string, int64_t>& words) const {
  const YAML::Node node = value(key);
  if (node.IsScalar() && words.contains(node.Scalar())) return words.at(node.Scalar());
  const auto parsed = number<int64_t>(node);
  if (!parsed || *parsed < low || *parsed > high) {
    std::string allowed = fmt::format("{}..{}", low, high);
    for (const auto& word : words) allowed += ", " + word.first;
    refuse_at(node, field(key), "is " + shown(node) + ", allowed " + allowed, "");
  }
  return *parsed;
}

double YamlMap::positive_at(const YAML::Node& node, const std::string& field) const {
  const auto parsed = number<double>(node);
  if (!parsed || !std::isfinite(*parsed) || *parsed <= 0)
    refuse_at(node, field, "is " + shown(node) + ", a finite number above 0 is needed", "");
  return *parsed;
}

double YamlMap::positive(const std::string& key) const {
  return positive_at(value(key), field(key));
}

std::pair<double, double> YamlMap::positive_range(const std::string& key) const {
  const YAML::Node node = value(key);
  if (!node.IsSequence()) {
    const double both = positive_at(node, field(key));
    return {both, both};
  }
  if (node.size() != 2)
    refuse_at(node, field(key), fmt::format("lists {} numbers, allowed 2", node.size()), "");
  const double low = positive_at(node[0], field(key)), high = positive_at(node[1], field(key));
  if (low > high)
    refuse_at(node, field(key), fmt::format("is [{}, {}], low must come first", low, high), "");
  return {low, high};
}

size_t YamlMap::choice(const std::string& key, const Names& names) const {
  const YAML::Node node = value(key);
  const auto found =
      node.IsScalar() ? std::find(names.begin(), names.end(), node.Scalar()) : names.end();
  if (found == names.end())
    refuse_at(node, field(key), "is " + shown(node) + ", allowed " + list_names(names), "");
  return static_cast<size_t>(found - names.begin());
}

}  // namespace widthwise
