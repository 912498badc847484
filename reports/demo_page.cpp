#include "reports/demo_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/demo_text.h"
#include "reports/svg_chart.h"

namespace widthwise {
namespace {

constexpr const char* kStyle = R"(
body{font:15px/1.45 system-ui,"DejaVu Sans",sans-serif;color:#1b1f24;margin:0;background:#f6f7f9}
main{max-width:1360px;margin:0 auto;padding:24px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:34px 0 8px}h3{font-size:15px;margin:18px 0 6px}
p{max-width:75ch;margin:6px 0}.muted{color:#5c6670}
.cards{display:flex;flex-wrap:wrap;gap:14px;margin:18px 0}
.card{background:#fff;border:1px solid #dde1e6;border-radius:8px;padding:12px 16px;flex:1 1 190px}
.card b{display:block;font-size:22px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(520px,1fr));gap:16px}
.plots>div{background:#fff;border:1px solid #dde1e6;border-radius:8px;padding:8px}
svg{width:100%;height:auto;font:12px system-ui,"DejaVu Sans",sans-serif}
svg .title{font-size:14px;font-weight:600}svg .small{font-size:11px;fill:#444}
svg .grid{stroke:#e3e6ea}svg .rule{stroke:#444;stroke-dasharray:2 3}
.scroll{overflow-x:auto;background:#fff;border:1px solid #dde1e6;border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:4px 9px;text-align:right;white-space:nowrap;border-bottom:1px solid #eef0f2}
th{background:#fafbfc;font-weight:600}th:first-child,td:first-child{text-align:left}
ul{margin:6px 0}li{margin:2px 0}
)";

// Cells of an overflow table are shaded by their percentage.
std::string cell_style(const std::string& value) {
  if (value == "-") return " style=\"color:#8a949e\"";
  if (value == "0") return "";
  const double percent = value.front() == '<' ? 0.001 : std::stod(value);
  return fmt::format(" style=\"background:rgba(213,94,0,{:.2f})\"", 0.12 + 0.6 * percent / 100);
}

std::string html(const TextTable& table, bool shaded = false) {
  std::string out = "<div class=\"scroll\"><table>\n";
  for (size_t r = 0; r < table.rows().size(); ++r) {
    out += "<tr>";
    for (size_t c = 0; c < table.rows()[r].size(); ++c) {
      const std::string& value = table.rows()[r][c];
      const char* tag = r == 0 ? "th" : "td";
      out += fmt::format("<{}{}>{}</{}>", tag, shaded && r > 0 && c > 0 ? cell_style(value) : "",
                         escape_html(value), tag);
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string plot(const std::string& svg_text) { return "<div>" + svg_text + "</div>\n"; }
std::string card(const std::string& value, const std::string& meaning) {
  return fmt::format("<div class=\"card\"><b>{}</b>{}</div>\n", escape_html(value),
                     escape_html(meaning));
}

std::string accuracy_chart(const Json& result) {
  LineChart chart{.title = "Accuracy over accumulator width",
                  .x_label = "accumulator bits, every layer",
                  .y_label = "top-1 %",
                  .series = {},
                  .y_min = 0,
                  .y_max = 100,
                  .rule_y = result["float"]["top1_percent"].get<double>(),
                  .rule_name = "FP32"};
  int color = 0;
  for (const Json& precision : result["precisions"]) {
    Series wrap{.name = precision["name"].get<std::string>() + " wrap",
                .x = {},
                .y = {},
                .dashed = true,
                .color = color};
    Series saturate{.name = precision["name"].get<std::string>() + " saturate",
                    .x = {},
                    .y = {},
                    .dashed = false,
                    .color = color};
    for (const Json& width : precision["widths"]) {
      for (Series* series : {&wrap, &saturate}) series->x.push_back(width["bits"].get<double>());
      wrap.y.push_back(width["wrap_top1_percent"].get<double>());
      saturate.y.push_back(width["saturate_top1_percent"].get<double>());
    }
    chart.series.push_back(wrap);
    chart.series.push_back(saturate);
    ++color;
  }
  return svg(chart);
}

std::string bound_chart(const Json& precision) {
  DotChart chart{
      .title = precision["name"].get<std::string>() + ": accumulator bits that each layer needs",
      .x_label = "bits",
      .rows = {},
      .marks = {"data type", "weights", "observed"},
      .values = {}};
  for (const Json& layer : precision["layers"]) {
    chart.rows.push_back(layer["name"].get<std::string>());
    chart.values.push_back({layer["data_type_bound_bits"].get<double>(),
                            layer["weight_bound_bits"].get<double>(),
                            layer["observed_bits"].get<double>()});
  }
  return svg(chart);
}

std::string energy_chart(const Json& cost) {
  BarChart chart{.title = "Energy per image",
                 .x_label = "",
                 .y_label = "uJ",
                 .bars = {},
                 .parts = {"compute", "SRAM", "DRAM"},
                 .values = {},
                 .notes = {}};
  for (const Json& row : cost["arithmetics"]) {
    chart.bars.push_back(row["name"].get<std::string>());
    const Json& e = row["energy_uj"];
    chart.values.push_back(
        {e["compute"].get<double>(), e["sram"].get<double>(), e["dram"].get<double>()});
    chart.notes.push_back(row.contains("baseline")
                              ? fmt::format("{:.1f}x less", row["energy_saving"].get<double>())
                              : "baseline");
  }
  return svg(chart);
}

// Nothing where the table has no areas.
std::string mac_chart(const Json& mac) {
  BarChart chart{
      .title = mac["name"].get<std::string>() + " MAC: area of the multiplier and one adder",
      .x_label = "accumulator bits",
      .y_label = "um2",
      .bars = {},
      .parts = {"multiplier", "accumulator adder"},
      .values = {},
      .notes = {}};
  for (const Json& row : mac["rows"]) {
    if (!row.contains("multiplier_um2")) return "";
    const double multiplier = row["multiplier_um2"].get<double>(),
                 adder = row["adder_um2"].get<double>();
    chart.bars.push_back(fmt::format("{}", row["accumulator_bits"].get<int>()));
    chart.values.push_back({multiplier, adder});
    chart.notes.push_back(fmt::format("{:.0f}", multiplier + adder));
  }
  return svg(chart);
}

std::string summary(const Json& result) {
  std::string out =
      "<div class=\"cards\">\n" +
      card(fmt::format("{:.2f} %", result["float"]["top1_percent"].get<double>()), "FP32 top-1");
  for (const Json& precision : result["precisions"]) {
    const std::string name = precision["name"].get<std::string>();
    int proven = 0;
    for (const Json& layer : precision["layers"])
      proven = std::max(proven, layer["weight_bound_bits"].get<int>());
    out += card(fmt::format("{:.2f} %", precision["exact"]["top1_percent"].get<double>()),
                name + " top-1, exact accumulators");
    out += card(fmt::format("{} / {} bits", widest_observed_bits(precision["layers"]), proven),
                name + " accumulator: no overflow seen / proven safe");
  }
  for (const Json& row : result["cost"]["arithmetics"]) {
    if (!row.contains("baseline")) continue;
    out += card(fmt::format("{:.1f}x / {:.1f}x", row["compute_saving"].get<double>(),
                            row["area_saving"].get<double>()),
                row["name"].get<std::string>() + " against FP32: compute energy / area");
  }
  bool match = true;
  for (const Json& run : result["cosim"])
    match = match && (run["verdict"] == "match" || run["verdict"] == "fault caught");
  return out +
         card(result["cosim"].empty() ? "not run"
              : match                 ? "match"
                                      : "MISMATCH",
              "generated Verilog against the simulator") +
         "</div>\n";
}

}  // namespace

std::string demo_page(const Json& result) {
  const std::string name = escape_html(result["network"]["name"].get<std::string>());
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>Widthwise: "
      "{}</title><style>{}</style></head><body><main>\n",
      name, kStyle);
  out += fmt::format(
      "<h1>{}</h1><p class=\"muted\">{} parameters, {} MACs per image; {} test images of {}; "
      "calibrated on {} training images</p>\n",
      name, result["network"]["parameters"].get<int64_t>(),
      result["network"]["macs"].get<int64_t>(), result["data"]["test_images"].get<int64_t>(),
      escape_html(result["data"]["name"].get<std::string>()),
      result["data"]["calibration_images"].get<int64_t>());
  out += summary(result);
  out +=
      "<div class=\"plots\">\n" + plot(accuracy_chart(result)) + plot(energy_chart(result["cost"]));
  for (const Json& precision : result["precisions"]) out += plot(bound_chart(precision));
  for (const Json& mac : result["cost"]["mac"]) {
    const std::string chart = mac_chart(mac);
    if (!chart.empty()) out += plot(chart);
  }
  out += "</div>\n<h2>Accuracy</h2>\n" + html(accuracy_table(result));
  for (const Json& precision : result["precisions"])
    out += "<p class=\"muted\">" + escape_html(quantization_text(precision)) + "</p>\n";
  for (const Json& precision : result["precisions"]) {
    const std::string title = escape_html(precision["name"].get<std::string>());
    out += fmt::format("<h2>{}: accumulators</h2><p class=\"muted\">{}; datapath {}</p>\n", title,
                       escape_html(precision["accelerator"].get<std::string>()),
                       escape_html(accumulation_text(precision)));
    out += "<h3>Bits that each layer needs</h3>" + html(bound_table(precision)) +
           "<p class=\"muted\">" + escape_html(kOverflowThere) + "</p>";
    out +=
        "<h3>% of outputs that overflow at each width under wrap ('-': proven safe by the "
        "weights)</h3>" +
        html(overflow_table(precision), true);
    out += "<h3>Accuracy at each width</h3>" + html(width_table(precision));
  }
  const Json& cost = result["cost"];
  out += fmt::format("<h2>Energy and area</h2><p class=\"muted\">Cost table {}. {}</p>\n",
                     escape_html(cost_tables_text(cost)), kNotCounted);
  out += html(energy_table(cost)) + "<h3>The table's reference ratios</h3>" +
         html(ratio_table(cost)) + "<h3>Scaled numbers</h3><ul>\n";
  for (const Json& rule : cost["scaled"])
    out += "<li>" + escape_html(rule.get<std::string>()) + "</li>\n";
  out += "</ul>";
  if (!result["cosim"].empty()) {
    out += "<h2>Generated Verilog against the simulator</h2>\n" + html(cosim_table(result));
  }
  out += "<h2>How it was made</h2><p><code>" + escape_html(result["command"].get<std::string>()) +
         "</code></p><ul>\n";
  for (const Json& input : result["inputs"]) {
    out += fmt::format("<li>{} <span class=\"muted\">sha1 {}</span></li>\n",
                       escape_html(input["file"].get<std::string>()),
                       input["sha1"].get<std::string>());
  }
  for (const auto& [tool, version] : result["versions"].items())
    out +=
        fmt::format("<li>{} {}</li>\n", escape_html(tool), escape_html(version.get<std::string>()));
  return out + "</ul></main></body></html>\n";
}

}  // namespace widthwise
