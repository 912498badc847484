#pragma once
#include <string>
#include <vector>

namespace widthwise {

// A table for a terminal: the first column to the left, the others to the right, two blanks apart.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;  // rows of equal length, header first, each line ends in \n

  const std::vector<std::vector<std::string>>& rows() const { return rows_; }

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "0", "0.003", "1.25", "12.5", "100": percentages short enough for a table, never a false 0 or
// 100.
std::string percent_text(double percent);

}  // namespace widthwise
