// The integer arithmetic of core/ against other people's results: TFLite's requantization and the
// rounding and overflow modes of ap_fixed and SystemC's sc_fixed, by the names that an accelerator
// description has for them. Every .csv of vectors/ below WIDTHWISE_CONFORMANCE is read; its columns
// say what it is. A file or a mode that is not known fails.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "core/overflow.h"
#include "core/requantizer.h"
#include "hwmodel/mode_names.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
using Row = std::map<std::string, std::string>;

fs::path conformance_folder() {
  const char* named = std::getenv("WIDTHWISE_CONFORMANCE");
  return named != nullptr && *named != '\0'
             ? fs::path(named)
             : fs::path(WIDTHWISE_TREE) / ".." / "shared" / "conformance";
}

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> all;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) all.push_back(cell);
  return all;
}

using Columns = std::vector<std::string>;
const Columns kTflite = {"acc",       "real_multiplier_hex", "quantized_multiplier",
                         "shift",     "double_rounding",     "single_rounding",
                         "int64_path"};
const Columns kFixedPoint = {"src_w", "src_i",    "src_raw",  "dst_signed", "dst_w",
                             "dst_i", "rounding", "overflow", "dst_raw"};

// Calls visit(columns of the header, rest of the file) for every file.
template <class Visit>
void for_each_file(Visit&& visit) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(conformance_folder() / "vectors", ignored)) {
    if (entry.path().extension() != ".csv") continue;
    std::ifstream file(entry.path());
    std::string line;
    std::getline(file, line);
    visit(entry.path(), cells(line), file);
  }
}

bool has_all(const Columns& header, const Columns& columns) {
  return std::all_of(columns.begin(), columns.end(), [&](const std::string& column) {
    return std::find(header.begin(), header.end(), column) != header.end();
  });
}

// Calls visit(row) for every row of every file that has all the columns.
template <class Visit>
int64_t for_each_row(const Columns& columns, Visit&& visit) {
  int64_t rows = 0;
  for_each_file([&](const fs::path&, const Columns& header, std::ifstream& file) {
    if (!has_all(header, columns)) return;
    for (std::string line; std::getline(file, line);) {
      const std::vector<std::string> values = cells(line);
      if (values.empty()) continue;
      Row row;
      for (size_t i = 0; i < header.size(); ++i)
        row[header[i]] = i < values.size() ? values[i] : "";
      visit(row);
      ++rows;
    }
  });
  return rows;
}

int64_t integer(const Row& row, const std::string& column) { return std::stoll(row.at(column)); }

TEST(Vectors, EveryFileIsKnown) {
  for_each_file([](const fs::path& path, const Columns& header, std::ifstream&) {
    EXPECT_TRUE(has_all(header, kTflite) || has_all(header, kFixedPoint))
        << path << " has columns that no test compares";
  });
}

TEST(Vectors, TfliteRequantization) {
  int64_t multipliers = 0, twice = 0, once = 0, wide = 0;
  const int64_t rows = for_each_row(kTflite, [&](const Row& row) {
    const int64_t acc = integer(row, "acc");
    const double ratio = std::strtod(row.at("real_multiplier_hex").c_str(), nullptr);
    const auto exact = [&](const char* column, int64_t got) {
      EXPECT_EQ(got, integer(row, column)) << column << " of " << acc << " * " << ratio;
      return got == integer(row, column);
    };
    const auto narrow = static_cast<int32_t>(acc);
    const FixedMultiplier fixed = fixed_multiplier(ratio, 31);
    multipliers +=
        exact("quantized_multiplier", fixed.multiplier) && exact("shift", 31 - fixed.shift);
    twice += exact("double_rounding", gemmlowp_multiply(narrow, ratio, GemmlowpRounding::kDouble));
    once += exact("single_rounding", gemmlowp_multiply(narrow, ratio, GemmlowpRounding::kSingle));
    wide += exact("int64_path", gemmlowp_multiply_wide(acc, ratio));
  });
  if (rows == 0)
    GTEST_SKIP() << "skipped: no TFLite vectors below " << conformance_folder().string();
  fmt::print(
      "TFLite requantization: {} rows found; exact: {} multipliers and shifts, {} double_rounding, "
      "{} single_rounding, {} int64_path\n",
      rows, multipliers, twice, once, wide);
}

template <class Mode>
const Mode* find_mode(const std::vector<NamedMode<Mode>>& modes, const std::string& name) {
  const auto found =
      std::find_if(modes.begin(), modes.end(), [&](const auto& mode) { return mode.name == name; });
  return found == modes.end() ? nullptr : &found->mode;
}

struct Overflow {
  OverflowPolicy policy;
  int saturated_bits;
};

// SC_WRAP_n2 is SystemC's SC_WRAP with n_bits = 2.
std::optional<Overflow> overflow_of(const std::string& name) {
  if (const auto* policy = find_mode(overflow_names(), name)) return Overflow{*policy, 0};
  const std::string prefix = "SC_WRAP_n",
                    digits = name.substr(std::min(name.size(), prefix.size()));
  if (!name.starts_with(prefix) || digits.empty() || digits.size() > 2 ||
      digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return Overflow{OverflowPolicy::kWrapSaturatedBits, std::stoi(digits)};
}

TEST(Vectors, FixedPointRoundingAndOverflow) {
  int64_t exact = 0;
  std::set<std::string> unknown;
  std::map<std::string, std::pair<int64_t, int64_t>> by_library;  // AP, SC: rows, exact
  const int64_t rows = for_each_row(kFixedPoint, [&](const Row& row) {
    const Rounding* rounding = find_mode(rounding_names(), row.at("rounding"));
    const std::optional<Overflow> overflow = overflow_of(row.at("overflow"));
    if (rounding == nullptr) unknown.insert(row.at("rounding"));
    if (!overflow) unknown.insert(row.at("overflow"));
    auto& [found, right] = by_library[row.at("rounding").substr(0, row.at("rounding").find('_'))];
    ++found;
    if (rounding == nullptr || !overflow) return;
    const int64_t drop = (integer(row, "src_w") - integer(row, "src_i")) -
                         (integer(row, "dst_w") - integer(row, "dst_i"));  // fraction bits
    const __int128 raw = integer(row, "src_raw");
    const auto rounded =
        static_cast<int64_t>(drop >= 0 ? shift_rounded(raw, static_cast<int>(drop), *rounding)
                                       : raw * (__int128{1} << -drop));
    const IntegerFormat format{static_cast<int>(integer(row, "dst_w")),
                               integer(row, "dst_signed") != 0};
    const int64_t got = fit(rounded, format, overflow->policy, overflow->saturated_bits);
    EXPECT_EQ(got, integer(row, "dst_raw")) << row.at("src_raw") << " " << row.at("rounding") << " "
                                            << row.at("overflow") << " " << format.name();
    exact += got == integer(row, "dst_raw");
    right += got == integer(row, "dst_raw");
  });
  if (rows == 0)
    GTEST_SKIP() << "skipped: no fixed-point vectors below " << conformance_folder().string();
  for (const auto& [library, counts] : by_library)
    fmt::print("{}_: {} rows found, {} exact\n", library, counts.first, counts.second);
  fmt::print("fixed point: {} rows found, {} exact\n", rows, exact);
  for (const std::string& mode : unknown) ADD_FAILURE() << "unknown mode " << mode;
  EXPECT_EQ(exact, rows);
}

}  // namespace
}  // namespace widthwise
