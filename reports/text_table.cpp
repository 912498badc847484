#include "reports/text_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace widthwise {
namespace {

// Columns of UTF-8 text: bytes that start a character.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string TextTable::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string fill(widths[i] - width_of(row[i]), ' ');
      line += (i == 0 ? "  " + row[i] + fill : "  " + fill + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string percent_text(double percent) {
  if (percent == 0 || percent == 100) return fmt::format("{:.0f}", percent);
  if (percent < 0.0005) return "<0.001";
  if (percent < 1) return fmt::format("{:.3f}", percent);
  if (percent < 10) return fmt::format("{:.2f}", percent);
  return fmt::format("{:.1f}", std::min(percent, 99.9));
}

}  // namespace widthwise
