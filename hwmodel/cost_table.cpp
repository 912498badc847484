#include "hwmodel/cost_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace widthwise {
namespace {

struct Point {
  double x, y;
  const CostRow* row;
};

bool is_float(const std::string& component) { return component.starts_with("fp_"); }

double abscissa(ScalingRule rule, double size, double other) {
  if (rule == ScalingRule::kLinearBitProduct) return size * other;
  return rule == ScalingRule::kLog2Kib ? std::log2(size) : size;
}

std::string row_name(const CostRow& row) {
  if (row.component == "sram") return fmt::format("{} KiB", row.kib);
  if (row.component == "dram") return fmt::format("{} bit", row.bits);
  return fmt::format("{}{}", is_float(row.component) ? "fp" : "int", row.bits);
}

double row_size(const CostRow& row) { return row.component == "sram" ? row.kib : row.bits; }

std::string size_name(const std::string& component, double size, double other) {
  if (component == "sram") return fmt::format("sram @ {} KiB", size);
  if (component == "multiplier") return fmt::format("multiplier @ {} x {} bit", size, other);
  return fmt::format("{} @ {} bit", component, size);
}

const char* axis_name(ScalingRule rule) {
  if (rule == ScalingRule::kLinearBitProduct) return "the product of the widths";
  return rule == ScalingRule::kLog2Kib ? "log2(KiB)" : "the width";
}

// points: ascending x, of one component, at least one (two for kLog2Kib).
CostValue scale(const std::vector<Point>& points, double x, const char* unit) {
  const ScalingRule rule = points[0].row->scaling;
  const auto described = [&](const Point& point) {
    return fmt::format("{} ({} {})", row_name(*point.row), point.y, unit);
  };
  const auto exact =
      std::find_if(points.begin(), points.end(), [&](const Point& point) { return point.x == x; });
  if (exact != points.end()) return {exact->y, false, "row " + described(*exact), ""};
  if (rule == ScalingRule::kConstant)
    return {points[0].y, false, "constant, row " + described(points[0]), ""};

  const bool below = x<points.front().x, above = x> points.back().x;
  if (rule != ScalingRule::kLog2Kib && (below || above)) {
    const Point& end = below ? points.front() : points.back();
    return {end.y * x / end.x, true,
            fmt::format("proportional to {} from {}", axis_name(rule), described(end)), ""};
  }
  size_t right = 1;
  while (right + 1 < points.size() && points[right].x < x) ++right;
  const Point &a = points[right - 1], &b = points[right];
  double y = a.y + (b.y - a.y) * (x - a.x) / (b.x - a.x);
  std::string text =
      fmt::format("linear{} {} {} and {}",
                  rule == ScalingRule::kLinearBits ? "" : std::string(" in ") + axis_name(rule),
                  below || above ? "beyond" : "between", described(a), described(b));
  if (const double floor = points.front().y / 2; (below || above) && y < floor) {
    y = floor;
    text += ", not below half of " + described(points.front());
  }
  return {y, true, text, ""};
}

// Sources of the rows that gave the value: the row itself, or its two neighbours.
std::string sources(const std::vector<Point>& points, double x, bool of_area) {
  const auto source = [&](const Point& p) { return of_area ? p.row->area_source : p.row->source; };
  const auto right =
      std::find_if(points.begin(), points.end(), [&](const Point& point) { return point.x >= x; });
  const bool log_rule = points[0].row->scaling == ScalingRule::kLog2Kib;
  if (right == points.end()) {
    const std::string last = source(points.back());
    if (!log_rule || source(points[points.size() - 2]) == last) return last;
    return source(points[points.size() - 2]) + "; " + last;
  }
  if (right->x == x || (right == points.begin() && !log_rule)) return source(*right);
  const Point& a = right == points.begin() ? right[0] : right[-1];
  const Point& b = right == points.begin() ? right[1] : right[0];
  return source(a) == source(b) ? source(a) : source(a) + "; " + source(b);
}

}  // namespace

const char* scaling_rule_name(ScalingRule rule) {
  switch (rule) {
    case ScalingRule::kLinearBits:
      return "linear_bits";
    case ScalingRule::kLinearBitProduct:
      return "linear_bit_product";
    case ScalingRule::kLog2Kib:
      return "log2_kib";
    case ScalingRule::kConstant:
      return "constant";
    case ScalingRule::kNone:
      return "none";
  }
  return "";
}

Cost CostTable::lookup(const std::string& component, const std::string& action, double size,
                       int other_bits) const {
  const auto refuse = [&](const std::string& field, const std::string& problem,
                          const std::string& fix) {
    throw InputError({.file = file_, .where = "", .field = field, .problem = problem, .fix = fix});
  };
  std::vector<std::string> components, actions, sizes;
  std::vector<Point> energies, areas;
  const double other = other_bits > 0 ? other_bits : size;
  double x = 0;
  for (const CostRow& row : rows_) {
    if (components.empty() || components.back() != row.component)
      components.push_back(row.component);
    if (row.component != component) continue;
    if (actions.empty()) actions.push_back(row.action);
    if (row.action != action) continue;
    sizes.push_back(row_name(row));
    x = abscissa(row.scaling, size, other);
    const double row_x = abscissa(row.scaling, row_size(row), row_size(row));
    energies.push_back({row_x, row.energy_pj(), &row});
    if (row.area_um2) areas.push_back({row_x, *row.area_um2, &row});
  }
  if (actions.empty())
    refuse("component", "is '" + component + "', known: " + list_names(components),
           "add rows for it to the table, or take another table");
  if (energies.empty())
    refuse("action",
           fmt::format("of {} is '{}', known: {}", component, action, list_names(actions)),
           "take a known one");
  const std::string name = size_name(component, size, other);
  const ScalingRule rule = energies[0].row->scaling;
  if (!std::isfinite(size) || size <= 0 ||
      (component != "sram" && (std::max(size, other) > 128 || size != std::floor(size))) ||
      (other_bits != 0 && component != "multiplier")) {
    refuse("", name + " is not a size, allowed 1..128 bit, or a capacity above 0 KiB",
           "take a size in that range");
  }
  if (rule == ScalingRule::kNone &&
      std::none_of(energies.begin(), energies.end(), [&](const Point& p) { return p.x == x; })) {
    refuse("", name + " is not in the table and is never scaled, known: " + list_names(sizes),
           "take a known size");
  }
  const CostValue energy = scale(energies, x, "pJ");
  Cost cost{energy.value, energy.scaled, name + ": " + energy.rule, sources(energies, x, false),
            std::nullopt};
  for (const Point& point : energies) {
    if (point.row->energy_low_pj == point.row->energy_high_pj) continue;
    cost.rule += fmt::format(", {} is the midpoint of the source's {}..{} pJ", row_name(*point.row),
                             point.row->energy_low_pj, point.row->energy_high_pj);
  }
  const bool has_area =
      std::any_of(areas.begin(), areas.end(), [&](const Point& p) { return p.x == x; }) ||
      (rule != ScalingRule::kNone && areas.size() >= (rule == ScalingRule::kLog2Kib ? 2u : 1u));
  if (has_area) {
    cost.area = scale(areas, x, "um2");
    cost.area->rule = name + ": " + cost.area->rule;
    cost.area->source = sources(areas, x, true);
  }
  return cost;
}

ReferenceRatios reference_ratios(const CostTable& table) {
  struct Ratio {
    double energy, area;
  };
  const auto ratio = [&](const std::string& component, const std::string& action) -> Ratio {
    const Cost integer = table.lookup(component, action, 8);
    const Cost real = table.lookup("fp_" + component, action, 32);
    if (!integer.area || !real.area) {
      throw InputError({.file = table.file(),
                        .where = "",
                        .field = "area_um2",
                        .problem = "of " + component + " or fp_" + component + " is missing",
                        .fix = "add the areas, or take another table"});
    }
    return {real.energy_pj / integer.energy_pj, real.area->value / integer.area->value};
  };
  const Ratio add = ratio("adder", "add"), multiply = ratio("multiplier", "multiply");
  return {add.energy, add.area, multiply.energy, multiply.area};
}

}  // namespace widthwise
