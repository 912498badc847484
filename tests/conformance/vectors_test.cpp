// The integer arithmetic of core/ against other people's results: TFLite's requantization and the
// rounding and overflow modes of ap_fixed and SystemC's sc_fixed. Every .csv of vectors/ below
// WIDTHWISE_CONFORMANCE is read; its columns say what it is.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "core/accumulator.h"
#include "core/requantizer.h"

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

// Calls visit(row) for every row of every file that has all the columns.
template <class Visit>
int64_t for_each_row(const std::vector<std::string>& columns, Visit&& visit) {
  int64_t rows = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(conformance_folder() / "vectors", ignored)) {
    if (entry.path().extension() != ".csv") continue;
    std::ifstream file(entry.path());
    std::string line;
    std::getline(file, line);
    const std::vector<std::string> header = cells(line);
    const auto has = [&](const std::string& c) {
      return std::find(header.begin(), header.end(), c) != header.end();
    };
    if (!std::all_of(columns.begin(), columns.end(), has)) continue;
    while (std::getline(file, line)) {
      const std::vector<std::string> values = cells(line);
      Row row;
      for (size_t i = 0; i < std::min(header.size(), values.size()); ++i)
        row[header[i]] = values[i];
      visit(row);
      ++rows;
    }
  }
  return rows;
}

TEST(Vectors, TfliteRequantization) {
  int64_t exact = 0;
  const int64_t rows = for_each_row(
      {"acc", "real_multiplier_hex", "double_rounding", "single_rounding"}, [&](const Row& row) {
        const auto acc = static_cast<int32_t>(std::stol(row.at("acc")));
        const double multiplier = std::strtod(row.at("real_multiplier_hex").c_str(), nullptr);
        const int32_t twice = gemmlowp_multiply(acc, multiplier);
        const FixedMultiplier fixed = fixed_multiplier(multiplier, 31);
        const __int128 product = static_cast<__int128>(acc) * fixed.multiplier;
        const __int128 once = fixed.shift >= 0
                                  ? shift_rounded(product, fixed.shift, Rounding::kHalfUp)
                                  : product * (__int128{1} << -fixed.shift);
        EXPECT_EQ(twice, std::stol(row.at("double_rounding")))
            << row.at("acc") << " * " << multiplier;
        EXPECT_EQ(static_cast<int64_t>(once), std::stol(row.at("single_rounding")))
            << row.at("acc") << " * " << multiplier;
        exact += twice == std::stol(row.at("double_rounding")) &&
                 once == std::stol(row.at("single_rounding"));
      });
  if (rows == 0)
    GTEST_SKIP() << "skipped: no TFLite vectors below " << conformance_folder().string();
  fmt::print("TFLite requantization: {} rows found, {} exact\n", rows, exact);
}

std::optional<Rounding> rounding_of(const std::string& mode) {
  static const std::map<std::string, Rounding> modes = {{"RND", Rounding::kHalfUp},
                                                        {"RND_CONV", Rounding::kHalfEven},
                                                        {"RND_INF", Rounding::kHalfAway},
                                                        {"TRN_ZERO", Rounding::kTruncate},
                                                        {"TRN", Rounding::kFloor}};
  const auto found = modes.find(mode.substr(mode.find('_') + 1));
  return found == modes.end() ? std::nullopt : std::optional(found->second);
}

TEST(Vectors, FixedPointRoundingAndOverflow) {
  int64_t exact = 0, compared = 0;
  std::map<std::string, int64_t> other_modes;
  const int64_t rows = for_each_row(
      {"src_w", "src_i", "src_raw", "dst_signed", "dst_w", "dst_i", "rounding", "overflow",
       "dst_raw"},
      [&](const Row& row) {
        const auto integer = [&](const char* column) { return std::stol(row.at(column)); };
        const std::optional<Rounding> rounding = rounding_of(row.at("rounding"));
        const std::string overflow = row.at("overflow").substr(row.at("overflow").find('_') + 1);
        if (!rounding || (overflow != "WRAP" && overflow != "SAT") || integer("dst_signed") != 1) {
          ++other_modes[!rounding                    ? row.at("rounding")
                        : integer("dst_signed") != 1 ? "unsigned"
                                                     : row.at("overflow")];
          return;
        }
        const long drop =
            (integer("src_w") - integer("src_i")) - (integer("dst_w") - integer("dst_i"));
        const __int128 raw = integer("src_raw");
        const auto rounded =
            static_cast<int64_t>(drop >= 0 ? shift_rounded(raw, static_cast<int>(drop), *rounding)
                                           : raw * (__int128{1} << -drop));
        const int64_t got =
            fit(rounded, static_cast<int>(integer("dst_w")),
                overflow == "WRAP" ? OverflowPolicy::kWrap : OverflowPolicy::kSaturate);
        EXPECT_EQ(got, integer("dst_raw"))
            << row.at("src_raw") << " " << row.at("rounding") << " " << row.at("overflow");
        exact += got == integer("dst_raw");
        ++compared;
      });
  if (rows == 0)
    GTEST_SKIP() << "skipped: no fixed-point vectors below " << conformance_folder().string();
  fmt::print(
      "fixed point: {} rows found, {} compared, {} exact; modes that the datapath does not offer:",
      rows, compared, exact);
  for (const auto& [mode, count] : other_modes) fmt::print(" {} ({})", mode, count);
  fmt::print("\n");
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace widthwise
