#include "reports/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace widthwise {
namespace {

// Okabe and Ito's palette, readable for the colour-blind.
constexpr const char* kColors[] = {"#0072b2", "#d55e00", "#009e73",
                                   "#cc79a7", "#e69f00", "#56b4e9"};
const char* color(size_t index) { return kColors[index % std::size(kColors)]; }

constexpr double kWidth = 640, kLeft = 64, kRight = 20, kTop = 64, kPlotHeight = 240;
constexpr double kPlotWidth = kWidth - kLeft - kRight;

std::string text_at(double x, double y, const std::string& content,
                    const std::string& attributes = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes,
                     escape_html(content));
}

std::string open(double height, const std::string& title) {
  return fmt::format(
             "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" "
             "xmlns=\"http://www.w3.org/2000/svg\">\n",
             kWidth, height, escape_html(title)) +
         text_at(kLeft, 20, title, "class=\"title\"");
}

// A row of coloured marks with names, below the title.
std::string legend(const std::vector<std::string>& names, const std::vector<size_t>& colors,
                   const std::vector<bool>& dashed) {
  std::string out;
  double x = kLeft;
  for (size_t i = 0; i < names.size(); ++i) {
    const char* dash = i < dashed.size() && dashed[i] ? " stroke-dasharray=\"5 3\"" : "";
    out += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"38\" x2=\"{:.1f}\" y2=\"38\" stroke=\"{}\" "
        "stroke-width=\"4\"{}/>\n",
        x, x + 18, color(colors[i]), dash);
    out += text_at(x + 24, 42, names[i]);
    x += 40 + 7.0 * static_cast<double>(names[i].size());
  }
  return out;
}

// A step of 1, 2 or 5 times a power of ten that gives at most `most` ticks.
double tick_step(double range, int most) {
  double step = std::pow(10.0, std::floor(std::log10(std::max(range, 1e-12) / most)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    if (range / (step * factor) <= most) return step * factor;
  }
  return step * 10;
}

std::string y_axis(double low, double high, const std::string& label) {
  std::string out;
  const double step = tick_step(high - low, 6);
  for (double y = std::ceil(low / step) * step; y <= high + step * 1e-6; y += step) {
    const double at = kTop + kPlotHeight * (1 - (y - low) / (high - low));
    out += fmt::format("<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\" class=\"grid\"/>\n",
                       kLeft, at, kLeft + kPlotWidth, at);
    out += text_at(kLeft - 8, at + 4, fmt::format("{:g}", std::abs(y) < step * 1e-6 ? 0.0 : y),
                   "text-anchor=\"end\"");
  }
  return out + text_at(14, kTop + kPlotHeight / 2, label,
                       fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1f})\"",
                                   kTop + kPlotHeight / 2));
}

std::string dot(double x, double y, size_t index, const std::string& tip) {
  return fmt::format(
      "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"><title>{}</title></circle>\n", x,
      y, color(index), escape_html(tip));
}

// The end of a name that is too long for the chart: layers differ there.
std::string shortened(const std::string& name) {
  constexpr size_t kMost = 32;
  if (name.size() <= kMost) return name;
  size_t from = name.size() - kMost + 1;
  while (from < name.size() && (name[from] & 0xC0) == 0x80) ++from;  // not inside a UTF-8 character
  return "\u2026" + name.substr(from);
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string svg(const LineChart& chart) {
  double low = 1e300, high = -1e300;
  std::vector<std::string> names;
  std::vector<size_t> colors;
  std::vector<bool> dashed;
  for (const Series& s : chart.series) {
    for (const double x : s.x) {
      low = std::min(low, x);
      high = std::max(high, x);
    }
    names.push_back(s.name);
    colors.push_back(static_cast<size_t>(s.color));
    dashed.push_back(s.dashed);
  }
  if (low > high) low = 0, high = 1;
  if (low == high) low -= 1, high += 1;
  const auto at_x = [&](double x) { return kLeft + kPlotWidth * (x - low) / (high - low); };
  const auto at_y = [&](double y) {
    return kTop + kPlotHeight * (1 - (y - chart.y_min) / (chart.y_max - chart.y_min));
  };

  std::string out = open(kTop + kPlotHeight + 50, chart.title) + legend(names, colors, dashed) +
                    y_axis(chart.y_min, chart.y_max, chart.y_label);
  const double step = std::max(1.0, tick_step(high - low, 14));
  for (double x = std::ceil(low / step) * step; x <= high; x += step) {
    out +=
        text_at(at_x(x), kTop + kPlotHeight + 18, fmt::format("{:g}", x), "text-anchor=\"middle\"");
  }
  out += text_at(kLeft + kPlotWidth / 2, kTop + kPlotHeight + 40, chart.x_label,
                 "text-anchor=\"middle\"");
  if (chart.rule_y) {
    out += fmt::format("<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\" class=\"rule\"/>\n",
                       kLeft, at_y(*chart.rule_y), kLeft + kPlotWidth, at_y(*chart.rule_y));
    out += text_at(kLeft + 4, at_y(*chart.rule_y) - 5, chart.rule_name, "class=\"small\"");
  }
  for (const Series& s : chart.series) {
    std::string points;
    for (size_t i = 0; i < s.x.size(); ++i)
      points += fmt::format("{:.1f},{:.1f} ", at_x(s.x[i]), at_y(s.y[i]));
    out += fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}/>\n", points,
        color(static_cast<size_t>(s.color)), s.dashed ? " stroke-dasharray=\"5 3\"" : "");
    for (size_t i = 0; i < s.x.size(); ++i) {
      out += dot(at_x(s.x[i]), at_y(s.y[i]), static_cast<size_t>(s.color),
                 fmt::format("{}: {:g}, {:g}", s.name, s.x[i], s.y[i]));
    }
  }
  return out + "</svg>\n";
}

std::string svg(const BarChart& chart) {
  double high = 0;
  for (const auto& parts : chart.values) {
    double sum = 0;
    for (const double value : parts) sum += value;
    high = std::max(high, sum);
  }
  high = high > 0 ? high * 1.12 : 1;
  std::vector<size_t> colors;
  for (size_t i = 0; i < chart.parts.size(); ++i) colors.push_back(i);
  std::string out = open(kTop + kPlotHeight + (chart.x_label.empty() ? 34 : 50), chart.title) +
                    legend(chart.parts, colors, {}) + y_axis(0, high, chart.y_label);
  out += text_at(kLeft + kPlotWidth / 2, kTop + kPlotHeight + 40, chart.x_label,
                 "text-anchor=\"middle\"");
  const double slot = kPlotWidth / static_cast<double>(std::max<size_t>(chart.bars.size(), 1)),
               width = std::min(70.0, slot * 0.6);
  for (size_t bar = 0; bar < chart.bars.size(); ++bar) {
    const double middle = kLeft + slot * (static_cast<double>(bar) + 0.5);
    double bottom = kTop + kPlotHeight;
    for (size_t part = 0; part < chart.values[bar].size(); ++part) {
      const double height = kPlotHeight * chart.values[bar][part] / high;
      bottom -= height;
      out += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.2f}\" width=\"{:.1f}\" height=\"{:.2f}\" "
          "fill=\"{}\"><title>{}: {:.4g}</title></rect>\n",
          middle - width / 2, bottom, width, height, color(part), escape_html(chart.parts[part]),
          chart.values[bar][part]);
    }
    if (bar < chart.notes.size())
      out +=
          text_at(middle, bottom - 6, chart.notes[bar], "text-anchor=\"middle\" class=\"small\"");
    out += text_at(middle, kTop + kPlotHeight + 18, chart.bars[bar], "text-anchor=\"middle\"");
  }
  return out + "</svg>\n";
}

std::string svg(const DotChart& chart) {
  constexpr double kRow = 22, kNames = 216, kMarkStep = 6;
  double low = 1e300, high = -1e300;
  for (const auto& row : chart.values) {
    for (const double value : row) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (low > high) low = 0, high = 1;
  low -= 1;
  high += 1;
  const double plot = kWidth - kNames - kRight,
               bottom = kTop + kRow * static_cast<double>(chart.rows.size());
  const auto at_x = [&](double x) { return kNames + plot * (x - low) / (high - low); };
  std::vector<size_t> colors;
  for (size_t i = 0; i < chart.marks.size(); ++i) colors.push_back(i);
  std::string out = open(bottom + 46, chart.title) + legend(chart.marks, colors, {});
  const double step = std::max(1.0, tick_step(high - low, 14));
  for (double x = std::ceil(low / step) * step; x <= high; x += step) {
    out += fmt::format("<line x1=\"{:.1f}\" y1=\"{}\" x2=\"{:.1f}\" y2=\"{}\" class=\"grid\"/>\n",
                       at_x(x), kTop - 8, at_x(x), bottom);
    out += text_at(at_x(x), bottom + 16, fmt::format("{:g}", x), "text-anchor=\"middle\"");
  }
  out += text_at(kNames + plot / 2, bottom + 38, chart.x_label, "text-anchor=\"middle\"");
  for (size_t row = 0; row < chart.rows.size(); ++row) {
    const double y = kTop + kRow * (static_cast<double>(row) + 0.5);
    out += text_at(kNames - 8, y + 4, shortened(chart.rows[row]), "text-anchor=\"end\"");
    for (size_t mark = 0; mark < chart.values[row].size(); ++mark) {
      const double middle = static_cast<double>(chart.marks.size() - 1) / 2;
      const double up = kMarkStep * (static_cast<double>(mark) - middle);
      const double value = chart.values[row][mark];
      out += dot(at_x(value), y - up, mark,
                 fmt::format("{} {}: {:g}", chart.rows[row], chart.marks[mark], value));
    }
  }
  return out + "</svg>\n";
}

}  // namespace widthwise
