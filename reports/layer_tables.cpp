#include "reports/layer_tables.h"

#include <fmt/format.h>

#include <algorithm>

namespace widthwise {
namespace {

std::vector<std::string> with_widths(std::vector<std::string> header,
                                     const std::vector<int>& widths) {
  for (const int bits : widths) header.push_back(std::to_string(bits) + " b");
  return header;
}

// Cells of {"<bits>": percent}; a width that is not there has none.
std::string percent_at(const Json& by_width, int bits) {
  return percent_text(by_width.value(std::to_string(bits), 0.0));
}

}  // namespace

std::string accumulation_text(const Json& run) {
  const auto own = std::count_if(
      run["layers"].begin(), run["layers"].end(),
      [&](const Json& layer) { return layer["accumulation"] != run["accumulation"]; });
  return text(run["accumulation"]) +
         (own == 0 ? "" : fmt::format("; {} layers state their own", own));
}

TextTable bound_table(const Json& run) {
  TextTable table({"layer", "operator", "ifmap", "ofmap", "K", "MACs", "operands", "textbook",
                   "data type", "weights", "observed", "outputs", "there < %"});
  for (const Json& layer : run["layers"]) {
    table.add({text(layer["name"]), text(layer["operator"]), extents_text(layer["ifmap_shape"]),
               extents_text(layer["ofmap_shape"]), integer(layer["k"]), integer(layer["macs"]),
               text(layer["ifmap_format"]) + " x " + text(layer["weight_format"]),
               integer(layer["textbook_bits"]), integer(layer["data_type_bound_bits"]),
               integer(layer["weight_bound_bits"]), integer(layer["observed_bits"]),
               integer(layer["outputs"]),
               fmt::format("{:.2g}", layer["zero_upper_bound_percent"].get<double>())});
  }
  return table;
}

std::vector<int> shown_widths(const Json& run, int most) {
  int first = 0, last = kMinAccumulatorBits;
  for (const Json& layer : run["layers"])
    last = std::max(last, layer["weight_bound_bits"].get<int>());
  for (int bits = last; bits >= kMinAccumulatorBits; --bits) {
    const std::string key = std::to_string(bits);
    const bool known = std::all_of(run["layers"].begin(), run["layers"].end(), [&](const Json& l) {
      return l["hit_percent_wrap"].contains(key) || bits > l["data_type_bound_bits"];
    });
    if (!known) break;
    first = bits;
  }
  std::vector<int> widths;
  for (int bits = std::max(first, last - most + 1); bits <= last; ++bits) widths.push_back(bits);
  return widths;
}

TextTable overflow_table(const Json& run) {
  const std::vector<int> widths = shown_widths(run);
  TextTable table(with_widths({"layer"}, widths));
  for (const Json& layer : run["layers"]) {
    std::vector<std::string> row = {text(layer["name"])};
    for (const int bits : widths) {
      const bool proven = bits >= layer["weight_bound_bits"].get<int>();
      row.push_back(proven ? "-" : percent_at(layer["hit_percent_wrap"], bits));
    }
    table.add(row);
  }
  return table;
}

TextTable inner_overflow_table(const Json& run) {
  int first = kMaxAccumulatorBits, last = kMinAccumulatorBits;
  for (const Json& layer : run["layers"]) {
    if (!layer.contains("inner_hit_percent")) continue;
    for (const auto& [bits, percent] : layer["inner_hit_percent"].items()) {
      last = std::max(last, std::stoi(bits));
      if (percent < 100) first = std::min(first, std::stoi(bits));
    }
  }
  std::vector<int> widths;
  for (int bits = std::max(first, last - kMostShownWidths + 1); bits <= last; ++bits)
    widths.push_back(bits);
  TextTable table(with_widths({"layer", "observed"}, widths));
  for (const Json& layer : run["layers"]) {
    const auto hits = layer.find("inner_hit_percent");
    if (hits == layer.end()) continue;
    std::vector<std::string> row = {text(layer["name"]), integer(layer["observed_inner_bits"])};
    for (const int bits : widths) row.push_back(percent_at(*hits, bits));
    table.add(row);
  }
  return table;
}

}  // namespace widthwise
