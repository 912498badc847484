#include "bench/kernel_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "bench/single_layer.h"

namespace widthwise {
namespace {

using Json = nlohmann::ordered_json;

struct Row {
  const char *path, *peer;
  double relu, dense;  // ratio to reach
};
constexpr Row kRows[] = {
    {"exact_sums", "onednn_sums", 0.95, 0.95},
    {"wrap_codes", "onednn_codes", 0.95, 0.95},
    {"census_chain", "onednn_sums", 0.30, 0.15},
    {"census_tree16", "onednn_sums", 0.80, 0.80},
    {"census_tree8", "onednn_sums", 0.68, 0.68},
    {"census_tree4", "onednn_sums", 0.55, 0.55},
    {"saturate20_chain", "onednn_sums", 0.45, 0.26},
    {"saturate16_chain", "onednn_sums", 0.45, 0.26},
    {"saturate12_chain", "onednn_sums", 0.45, 0.26},
    {"saturate20_tree16", "onednn_sums", 0.87, 0.87},
    {"saturate20_tree8", "onednn_sums", 0.75, 0.75},
    {"saturate20_tree4", "onednn_sums", 0.58, 0.58},
    {"saturate16_tree16", "onednn_sums", 0.87, 0.87},
    {"saturate16_tree8", "onednn_sums", 0.75, 0.75},
    {"saturate16_tree4", "onednn_sums", 0.58, 0.58},
    {"saturate16_chain", "torch_product_clip", 200, 200},
    {"census_chain", "torch_product_cumsum", 300, 300},
    {"saturate16_chain", "torch_loop", 20, 20},
};
constexpr const char* kPeers[] = {"onednn_sums", "onednn_codes", "torch_product_clip",
                                  "torch_product_cumsum", "torch_loop"};

std::string number(double value) { return fmt::format("{:.{}f}", value, value < 10 ? 2 : 0); }

class Table {
 public:
  Table(const Measurements& measured, const std::string& data) : measured_(measured), data_(data) {
    for (const LayerCase& layer : kLayers) {
      const bool any = std::any_of(std::begin(kPeers), std::end(kPeers), [&](const char* peer) {
        return speed(layer.name, peer).has_value();
      });
      if (any) layers_.push_back(layer.name);
    }
  }

  bool empty() const { return layers_.empty(); }

  TextTable text(Json& result) const {
    std::vector<std::string> head = {data_, "peer"};
    head.insert(head.end(), layers_.begin(), layers_.end());
    head.insert(head.end(), {"geometric mean", "to reach", "reached"});
    TextTable table(head);
    for (const char* peer : kPeers) {
      Json speeds;
      for (const std::string& layer : layers_) {
        if (const auto found = speed(layer, peer)) speeds[layer] = *found;
      }
      if (speeds.empty()) continue;
      std::vector<std::string> cells = {std::string(peer) + ", GMAC/s", ""};
      add_cells(speeds, cells);
      cells.resize(head.size());
      table.add(cells);
      result["peers_gmac_per_second"][data_][peer] = speeds;
    }
    for (const Row& row : kRows) add(row, table, result);
    return table;
  }

 private:
  std::optional<double> speed(const std::string& layer, const std::string& path) const {
    return find(measured_.gmac_per_second, fmt::format("{}/{}/{}", layer, data_, path));
  }

  void add_cells(const Json& values, std::vector<std::string>& cells) const {
    for (const std::string& layer : layers_)
      cells.push_back(values.contains(layer) ? number(values[layer].get<double>()) : "-");
  }

  void add(const Row& row, TextTable& table, Json& result) const {
    const double to_reach = data_ == "relu" ? row.relu : row.dense;
    Json ratios;
    double logarithms = 0;
    int64_t count = 0, reached = 0;  // layers
    for (const std::string& layer : layers_) {
      const auto own = speed(layer, row.path), peer = speed(layer, row.peer);
      if (!own || !peer) continue;
      const double ratio = *own / *peer;
      ratios[layer] = ratio;
      logarithms += std::log(ratio);
      ++count;
      reached += ratio >= to_reach;
    }
    if (count == 0) return;
    const double mean = std::exp(logarithms / static_cast<double>(count));
    std::vector<std::string> cells = {row.path, row.peer};
    add_cells(ratios, cells);
    cells.insert(cells.end(),
                 {number(mean), number(to_reach), fmt::format("{} of {}", reached, count)});
    table.add(cells);
    result["ratios"][data_].push_back({{"path", row.path},
                                       {"peer", row.peer},
                                       {"by_layer", ratios},
                                       {"geometric_mean", mean},
                                       {"to_reach", to_reach},
                                       {"layers", count},
                                       {"layers_reached", reached}});
  }

  const Measurements& measured_;
  std::string data_;
  std::vector<std::string> layers_;
};

}  // namespace

std::vector<TextTable> kernel_tables(const Measurements& measured, Json& result) {
  std::vector<TextTable> tables;
  for (const auto& [data, kind] : kData) {
    const Table table(measured, data);
    if (!table.empty()) tables.push_back(table.text(result));
  }
  return tables;
}

}  // namespace widthwise
