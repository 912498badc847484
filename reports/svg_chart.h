#pragma once
#include <optional>
#include <string>
#include <vector>

namespace widthwise {

// Charts as SVG text: no script, no font and no file beside the page.

struct Series {
  std::string name;
  std::vector<double> x, y;
  bool dashed = false;
  int color = 0;  // 0..5 of the palette
};

struct LineChart {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  double y_min = 0, y_max = 100;
  std::optional<double> rule_y;  // a horizontal line over all x
  std::string rule_name;
};
std::string svg(const LineChart& chart);

// Stacked bars: values[bar][part].
struct BarChart {
  std::string title, x_label, y_label;
  std::vector<std::string> bars, parts;
  std::vector<std::vector<double>> values;
  std::vector<std::string> notes;  // above each bar
};
std::string svg(const BarChart& chart);

// Rows with a few marks each on one integer axis: widths of a layer. Marks of one row lie a little
// above one another, so that equal values are all seen; long names are cut at their front.
struct DotChart {
  std::string title, x_label;
  std::vector<std::string> rows, marks;
  std::vector<std::vector<double>> values;  // [row][mark]
};
std::string svg(const DotChart& chart);

std::string escape_html(const std::string& text);

}  // namespace widthwise
