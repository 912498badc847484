// docs/networks.md lists the operators as they are registered.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "core/files.h"
#include "models/operator.h"

namespace widthwise {
namespace {

std::string operators_section() {
  const std::string text =
      read_file(std::filesystem::path(WIDTHWISE_TREE) / "docs" / "networks.md", "");
  const size_t begin = text.find("## Operators"), end = text.find("## Written files");
  EXPECT_LT(begin, end);
  return text.substr(begin, end - begin);
}

std::set<std::string> words(const std::string& text) {
  std::set<std::string> found;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += c;
    } else {
      found.insert(std::exchange(word, ""));
    }
  }
  return found;
}

// The cells of the row whose first cell is `label`.
std::string row(const std::string& section, const std::string& label) {
  std::istringstream lines(section);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("| " + label + " |")) return line.substr(label.size() + 3);
  }
  ADD_FAILURE() << "no row " << label;
  return "";
}

std::string base_name(const std::string& name) { return name.substr(name.rfind('.') + 1); }

TEST(DocumentedOperators, AreTheRegisteredOnes) {
  const std::string section = operators_section();
  std::set<std::string> registered, documented;
  for (const std::string& name : operator_names()) registered.insert(base_name(name));
  for (const std::string& word : words(section)) {
    if (registered.contains(word)) documented.insert(word);
  }
  EXPECT_EQ(documented, registered);
  for (const char* label :
       {"run, and become layers when the network is quantized", "run", "ONNX"}) {
    for (const std::string& word : words(row(section, label)))
      EXPECT_TRUE(word.empty() || registered.contains(word)) << word;
  }
}

TEST(DocumentedOperators, LayersAreThoseThatCanBeQuantized) {
  std::set<std::string> layers{""};
  for (const std::string& name : operator_names()) {
    const Operator* op = find_operator(kOnnxDomain, name);
    if (op != nullptr && op->lower != nullptr) layers.insert(name);
  }
  EXPECT_EQ(words(row(operators_section(), "run, and become layers when the network is quantized")),
            layers);
}

}  // namespace
}  // namespace widthwise
