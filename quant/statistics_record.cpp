#include "quant/statistics_record.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <set>

#include "core/error.h"

namespace widthwise {
namespace {

const char* const kAgain = "collect the statistics again";

// The whole text as a whole number.
template <class Integer>
bool parse_integer(const std::string& text, Integer& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end && !text.empty();
}

// Within { } a shape's commas end it: "(100", then the keys 3, 32 and "32)" without a value.
// Distiller does not read the shape, so that files have it; the pieces are put together again.
void join_shape(std::vector<StatisticsRecordReader::Item>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].key != "shape" || !items[i].value.IsScalar()) continue;
    std::string text = items[i].value.Scalar();
    if (!text.starts_with("(") || text.ends_with(")")) return;
    size_t end = i + 1;
    for (; end < items.size() && items[end].value.IsNull() && !text.ends_with(")"); ++end)
      text += ", " + items[end].key;
    items[i].value = YAML::Node(text);
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                items.begin() + static_cast<std::ptrdiff_t>(end));
    return;
  }
}

// Samples behind a record: its elements, by the elements of one.
int64_t images_of(const TensorStatistics& s) {
  if (s.shape.empty()) return 0;
  int64_t each = 1;
  for (size_t i = 1; i < s.shape.size(); ++i) {
    if (s.shape[i] == 0 || each > s.total_numel / s.shape[i]) return 0;
    each *= s.shape[i];
  }
  return s.total_numel % each == 0 ? s.total_numel / each : 0;
}

}  // namespace

void StatisticsRecordReader::refuse(const YAML::Mark& mark, std::string field, std::string problem,
                                    std::string fix) const {
  throw InputError({.file = file_,
                    .where = mark.is_null() ? "" : fmt::format("line {}", mark.line + 1),
                    .field = std::move(field),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

YAML::Node StatisticsRecordReader::parse(const std::string& text) const {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& error) {
    refuse(error.mark, "", "is no YAML: " + error.msg,
           "correct the line, or " + std::string(kAgain));
  }
}

std::vector<StatisticsRecordReader::Item> StatisticsRecordReader::items(
    const YAML::Node& map, const std::string& field) const {
  if (!map.IsMap())
    refuse(map.Mark(), field, map.IsNull() ? "are empty" : "must be a mapping", kAgain);
  std::vector<Item> items;
  for (const auto& item : map) {
    if (!item.first.IsScalar())
      refuse(item.first.Mark(), field, "has a key that is no text", "remove it");
    items.push_back({item.first.Scalar(), item.second, item.first.Mark()});
  }
  return items;
}

int StatisticsRecordReader::input_index(const std::string& key, const YAML::Mark& mark,
                                        const std::string& field) const {
  int value = -1;
  if (!parse_integer(key, value) || value < 0)
    refuse(mark, field, fmt::format("has the key '{}', allowed are whole numbers from 0", key),
           "number the inputs from 0");
  return value;
}

double StatisticsRecordReader::number(const YAML::Node& node, const std::string& field) const {
  double value = 0;
  if (!node.IsScalar() || !YAML::convert<double>::decode(node, value))
    refuse(node.Mark(), field,
           node.IsScalar()
               ? fmt::format("is '{}', allowed are decimal numbers of float64", node.Scalar())
               : "must be a number",
           kAgain);
  if (!std::isfinite(value))
    refuse(node.Mark(), field, fmt::format("is {}, allowed are finite numbers", node.Scalar()),
           kAgain);
  return value;
}

double StatisticsRecordReader::deviation(const YAML::Node& node, const std::string& field) const {
  const double value = number(node, field);
  if (value < 0)
    refuse(node.Mark(), field, fmt::format("is {}, allowed are numbers from 0", value), kAgain);
  return value;
}

int64_t StatisticsRecordReader::count(const YAML::Node& node, const std::string& field) const {
  int64_t value = -1;
  if (!node.IsScalar() || !parse_integer(node.Scalar(), value) || value < 0)
    refuse(node.Mark(), field, "must be a whole number from 0", kAgain);
  return value;
}

std::vector<int64_t> StatisticsRecordReader::shape(const std::string& text, const YAML::Mark& mark,
                                                   const std::string& field) const {
  std::vector<int64_t> extents;
  if (text.empty() || text == "()") return extents;
  std::string inner = text.starts_with("(") && text.ends_with(")") ? text.substr(1, text.size() - 2)
                                                                   : std::string("?");
  if (inner.ends_with(",")) inner.pop_back();  // Python's (5,)
  for (size_t at = 0; at <= inner.size();) {
    const size_t end = std::min(inner.find(',', at), inner.size());
    at = std::min(inner.find_first_not_of(' ', at), end);
    int64_t extent = -1;
    if (!parse_integer(inner.substr(at, end - at), extent) || extent < 0)
      refuse(mark, field,
             fmt::format("is '{}', allowed are extents as in \"(100, 3, 32, 32)\"", text),
             "correct or remove it");
    extents.push_back(extent);
    at = end + 1;
  }
  return extents;
}

Histogram StatisticsRecordReader::histogram(const YAML::Node& node,
                                            const std::string& field) const {
  Histogram h;
  std::set<std::string> seen;
  for (const auto& [key, value, mark] : items(node, field)) {
    const std::string place = field + "." + key;
    if (!seen.insert(key).second) refuse(mark, place, "is given twice", "keep one of them");
    if (key == "low") {
      h.low = number(value, place);
    } else if (key == "high") {
      h.high = number(value, place);
    } else if (key == "counts") {
      if (!value.IsSequence() || value.size() == 0)
        refuse(value.Mark(), place, "must be a list of whole numbers", kAgain);
      for (const YAML::Node& entry : value) h.counts.push_back(count(entry, place));
    } else {
      refuse(mark, place, "is an unknown key; known are low, high, counts", "remove it");
    }
  }
  for (const char* key : {"low", "high", "counts"})
    if (!seen.contains(key)) refuse(node.Mark(), field + "." + key, "is missing", "add it");
  if (h.low > h.high)
    refuse(node.Mark(), field + ".low", fmt::format("is {}, above high = {}", h.low, h.high),
           kAgain);
  constexpr int64_t kMost = int64_t{1} << 53;  // exact in double
  int64_t all = 0;
  for (const int64_t one : h.counts) {
    if (one > kMost - all) refuse(node.Mark(), field + ".counts", "are beyond 2^53", kAgain);
    all += one;
  }
  if (all == 0) refuse(node.Mark(), field + ".counts", "are all 0", kAgain);
  return h;
}

// What cannot be of one tensor. Averages in float32 may leave the range by their rounding.
void StatisticsRecordReader::check(const TensorStatistics& s, const YAML::Mark& mark,
                                   const std::string& field) const {
  const double slack = 1e-5 * std::max(std::abs(s.min), std::abs(s.max));
  const auto inside = [&](const char* key, const std::optional<double>& value) {
    if (!value || (*value >= s.min - slack && *value <= s.max + slack)) return;
    refuse(mark, field + "." + key,
           fmt::format("is {}, outside of min = {} to max = {}", *value, s.min, s.max), kAgain);
  };
  inside("avg_min", s.avg_min);
  inside("avg_max", s.avg_max);
  // Distiller limits min to 0 where a ReLU follows, and leaves the mean as it was.
  if (s.min != 0 || s.mean.value_or(0) > 0) inside("mean", s.mean);
  if (s.histogram) {
    const Histogram& h = *s.histogram;
    if (std::abs(h.low - s.min) > slack || std::abs(h.high - s.max) > slack)
      refuse(mark, field + ".histogram",
             fmt::format("is of {} to {}, min and max are {} and {}", h.low, h.high, s.min, s.max),
             kAgain);
  }
}

TensorStatistics StatisticsRecordReader::record(const YAML::Node& node,
                                                const std::string& field) const {
  TensorStatistics s;
  std::set<std::string> seen;
  std::vector<Item> all = items(node, field);
  join_shape(all);
  for (const auto& [key, value, mark] : all) {
    const std::string place = field + "." + key;
    if (!seen.insert(key).second) refuse(mark, place, "is given twice", "keep one of them");
    if (key == "min") {
      s.min = number(value, place);
    } else if (key == "max") {
      s.max = number(value, place);
    } else if (key == "avg_min") {
      s.avg_min = number(value, place);
    } else if (key == "avg_max") {
      s.avg_max = number(value, place);
    } else if (key == "mean") {
      s.mean = number(value, place);
    } else if (key == "std") {
      s.std = deviation(value, place);
    } else if (key == "b") {
      s.b = deviation(value, place);
    } else if (key == "shape") {
      if (!value.IsScalar())
        refuse(mark, place, "must be text as \"(100, 3, 32, 32)\"", "quote it");
      s.shape = shape(value.Scalar(), mark, place);
    } else if (key == "total_numel") {
      s.total_numel = count(value, place);
    } else if (key == "histogram") {
      s.histogram = histogram(value, place);
    } else {
      refuse(mark, place,
             "is an unknown key; known are min, max, avg_min, avg_max, mean, std, b, shape, "
             "total_numel, histogram",
             "remove it");
    }
  }
  for (const char* key : {"min", "max"})
    if (!seen.contains(key)) refuse(node.Mark(), field + "." + key, "is missing", kAgain);
  if (s.min > s.max)
    refuse(node.Mark(), field + ".min", fmt::format("is {}, above max = {}", s.min, s.max),
           "correct it, or remove the record of a layer that never ran");
  check(s, node.Mark(), field);
  s.images = images_of(s);
  return s;
}

}  // namespace widthwise
