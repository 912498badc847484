#include "quant/statistics_yaml.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "core/files.h"
#include "quant/statistics_record.h"

namespace widthwise {
namespace {

// As Python writes it: "1.0", "1.0e-05"; YAML 1.1 takes what has no point for text.
std::string decimal(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? ".nan" : value < 0 ? "-.inf" : ".inf";
  std::string text = fmt::format("{}", value);
  if (text.find('.') == std::string::npos) text.insert(std::min(text.find('e'), text.size()), ".0");
  return text;
}

// Plain where every reader takes it for text, quoted otherwise.
std::string key_text(const std::string& name) {
  static const std::set<std::string> reserved = {"y",   "n",    "yes",   "no",  "on",
                                                 "off", "true", "false", "null"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto plain = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/' || c == '-';
  };
  std::string lower = name;
  for (char& c : lower) c = letter(c) ? static_cast<char>(c | 0x20) : c;
  if (!name.empty() && (letter(name[0]) || name[0] == '_' || name[0] == '/') &&
      std::all_of(name.begin(), name.end(), plain) && !reserved.contains(lower)) {
    return name;
  }
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') {
      text += fmt::format("\\{}", c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      text += fmt::format("\\x{:02x}", static_cast<int>(c));
    } else {
      text += c;
    }
  }
  return text + "\"";
}

void write_record(std::string& to, const TensorStatistics& s, int indent) {
  const auto line = [&](const char* key, const std::string& value) {
    to += fmt::format("{:{}}{}: {}\n", "", indent, key, value);
  };
  const auto maybe = [&](const char* key, const std::optional<double>& value) {
    if (value) line(key, decimal(*value));
  };
  line("min", decimal(s.min));
  line("max", decimal(s.max));
  maybe("avg_min", s.avg_min);
  maybe("avg_max", s.avg_max);
  maybe("mean", s.mean);
  maybe("std", s.std);
  maybe("b", s.b);
  if (!s.shape.empty()) line("shape", fmt::format("({})", fmt::join(s.shape, ", ")));
  if (s.total_numel != 0) line("total_numel", fmt::format("{}", s.total_numel));
  if (s.histogram) {
    line("histogram",
         fmt::format("{{low: {}, high: {}, counts: [{}]}}", decimal(s.histogram->low),
                     decimal(s.histogram->high), fmt::join(s.histogram->counts, ", ")));
  }
}

}  // namespace

std::string statistics_yaml(const NetworkStatistics& statistics) {
  if (statistics.empty()) return "{}\n";
  std::vector<const NetworkStatistics::value_type*> layers;
  for (const auto& layer : statistics) layers.push_back(&layer);
  std::stable_sort(layers.begin(), layers.end(), [](const auto* a, const auto* b) {
    return a->second.position < b->second.position;
  });
  std::string text;
  for (const auto* layer : layers) {
    const LayerStatistics& s = layer->second;
    const bool empty = s.inputs.empty() && !s.output;
    text += fmt::format("{}:{}\n", key_text(layer->first), empty ? " {}" : "");
    if (!s.inputs.empty()) text += "  inputs:\n";
    for (const auto& [k, input] : s.inputs) {
      text += fmt::format("    {}:\n", k);
      write_record(text, input, 6);
    }
    if (s.output) {
      text += "  output:\n";
      write_record(text, *s.output, 4);
    }
  }
  return text;
}

NetworkStatistics parse_statistics(const std::string& text, const std::string& file) {
  const StatisticsRecordReader reader(file);
  NetworkStatistics all;
  int position = 0;
  for (const auto& [name, node, mark] : reader.items(reader.parse(text), "statistics")) {
    if (all.contains(name)) reader.refuse(mark, name, "is given twice", "keep one of them");
    LayerStatistics& layer = all[name];
    layer.position = position++;
    for (const auto& [key, value, key_mark] : reader.items(node, name)) {
      const std::string field = name + "." + key;
      if (key == "output") {
        if (layer.output) reader.refuse(key_mark, field, "is given twice", "keep one of them");
        layer.output = reader.record(value, field);
      } else if (key != "inputs") {
        reader.refuse(key_mark, field, "is an unknown key; known are inputs, output", "remove it");
      } else if (!value.IsNull()) {
        for (const auto& [index, input, index_mark] : reader.items(value, field)) {
          const int k = reader.input_index(index, index_mark, field);
          const std::string place = field + "." + index;
          if (layer.inputs.contains(k))
            reader.refuse(index_mark, place, "is given twice", "keep one of them");
          layer.inputs[k] = reader.record(input, place);
        }
      }
    }
  }
  return all;
}

NetworkStatistics read_statistics(const std::filesystem::path& path) {
  return parse_statistics(read_file(path, "name a statistics file (YAML)"), path.string());
}

}  // namespace widthwise
