#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reports/svg_chart.h"
#include "reports/text_table.h"

namespace widthwise {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(PercentText, NeverAFalseZeroOrHundred) {
  EXPECT_EQ(percent_text(0), "0");
  EXPECT_EQ(percent_text(100), "100");
  EXPECT_EQ(percent_text(1e-9), "<0.001");
  EXPECT_EQ(percent_text(99.9999), "99.9");
  EXPECT_EQ(percent_text(0.25), "0.250");
  EXPECT_EQ(percent_text(5.125), "5.12");
  EXPECT_EQ(percent_text(42.25), "42.2");
}

TEST(TextTable, AlignsByCharactersNotBytes) {
  TextTable table({"name", "v"});
  table.add({"\u00b5m", "1"});
  table.add({"longer", "100"});
  EXPECT_EQ(table.text(), "  name      v\n  \u00b5m        1\n  longer  100\n");
}

// Every tag that is opened is closed, in order.
void expect_balanced(const std::string& svg_text) {
  std::vector<std::string> open;
  for (size_t at = svg_text.find('<'); at != std::string::npos; at = svg_text.find('<', at + 1)) {
    const size_t end = svg_text.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = svg_text.substr(at + 1, end - at - 1);
    if (tag.back() == '/') continue;
    if (tag.front() == '/') {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  EXPECT_TRUE(open.empty());
}

TEST(Svg, IsWellFormedAndEscaped) {
  LineChart lines{.title = "a < b & c",
                  .x_label = "bits",
                  .y_label = "%",
                  .series = {},
                  .y_min = 0,
                  .y_max = 100,
                  .rule_y = 50.0,
                  .rule_name = "half"};
  lines.series.push_back(
      {.name = "\"s\"", .x = {4, 5, 6}, .y = {10, 20, 30}, .dashed = true, .color = 0});
  const std::string text = svg(lines);
  expect_balanced(text);
  EXPECT_THAT(text, HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  expect_balanced(svg(BarChart{.title = "t",
                               .x_label = "x",
                               .y_label = "y",
                               .bars = {"a"},
                               .parts = {"p", "q"},
                               .values = {{1, 2}},
                               .notes = {"n"}}));
  expect_balanced(svg(DotChart{.title = "t",
                               .x_label = "x",
                               .rows = {"a very long name of a layer in a deep network"},
                               .marks = {"m"},
                               .values = {{3}}}));
}

TEST(Svg, EmptyAndConstantDataStillDraw) {
  for (const std::string& text :
       {svg(LineChart{.title = "",
       .x_label = "",
       .y_label = "",
       .series = {},
       .y_min = 0,
       .y_max = 1,
       .rule_y = {},
       .rule_name = ""}),
        svg(BarChart{.title = "",
        .x_label = "",
        .y_label = "",
        .bars = {"a"},
        .parts = {"p"},
        .values = {{0}},
        .notes = {}}),
        svg(DotChart{.title = "", .x_label = "", .rows = {}, .marks = {}, .values = {}})}) {
    expect_balanced(text);
    EXPECT_THAT(text, Not(HasSubstr("nan")));
    EXPECT_THAT(text, Not(HasSubstr("inf")));
  }
}

}  // namespace
}  // namespace widthwise
