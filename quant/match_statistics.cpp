#include "quant/match_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "core/error.h"

namespace widthwise {
namespace {

bool same_tensor(const TensorStatistics& a, const TensorStatistics& b) {
  return a.min == b.min && a.max == b.max && a.avg_min == b.avg_min && a.avg_max == b.avg_max &&
         a.mean == b.mean && a.std == b.std && a.b == b.b;
}

bool conflict(const TensorStatistics& a, const TensorStatistics& b) {
  const auto differ = [&](const std::optional<double>& x, const std::optional<double>& y) {
    constexpr double kRounding = 1e-4;  // of sums in another order
    return x && y && !(std::abs(*x - *y) <= kRounding * std::max(a.max - a.min, b.max - b.min));
  };
  if (a.mean && b.mean) return differ(a.mean, b.mean) || differ(a.std, b.std) || differ(a.b, b.b);
  return differ(a.min, b.min) || differ(a.max, b.max);
}

bool is_relu_of(const TensorStatistics& output, const TensorStatistics& input) {
  return output.min == std::max(input.min, 0.0) && output.max <= std::max(input.max, 0.0);
}

std::string shape_of(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

class Matcher {
 public:
  Matcher(const FloatNetwork& network, const std::vector<std::string>& modules,
          const NetworkStatistics& read, const std::string& file)
      : network_(network), read_(read), file_(file), records_(network.tensors.size()) {
    result_.modules = modules;
    names_ = {modules.begin(), modules.end()};
    for (const auto& [name, entry] : read) unused_.insert(name);
  }

  MatchedStatistics run() {
    for (size_t i = 0; i < network_.layers.size(); ++i) match(i);
    result_.unused.assign(unused_.begin(), unused_.end());
    if (!result_.statistics.empty()) return std::move(result_);
    throw InputError({.file = file_,
                      .where = "statistics",
                      .field = "layers",
                      .problem = fmt::format("are {}; the network '{}' has {}",
                                             read_.empty() ? "none" : some_names(result_.unused, 6),
                                             network_.name, some_names(result_.modules, 6)),
                      .fix = "collect the statistics of this network"});
  }

 private:
  std::optional<TensorStatistics>& record(int tensor) {
    return records_[static_cast<size_t>(tensor)];
  }

  void match(size_t i) {
    const FloatLayer& layer = network_.layers[i];
    auto found = read_.find(result_.modules[i]);
    if (found == read_.end()) found = by_inputs(layer);
    if (found == read_.end()) {
      if (moves_one_tensor(layer)) {  // a part, perhaps
        record(layer.output) = record(layer.inputs[0]);
        moved_.insert(layer.output);
      }
      return;
    }
    if (found->first != result_.modules[i]) {
      result_.renamed.emplace_back(result_.modules[i], found->first);
      result_.modules[i] = found->first;
    }
    LayerStatistics entry = found->second;
    unused_.erase(found->first);
    for (const auto& [k, input] : entry.inputs) {
      if (k < 0 || k >= std::ssize(layer.inputs)) continue;
      const int tensor = layer.inputs[static_cast<size_t>(k)];
      check_shape(found->first, fmt::format("input {}", k), input, tensor);
      if (record(tensor) && !moved_.contains(tensor) && conflict(*record(tensor), input))
        result_.conflicts.push_back(fmt::format("input {} of {}", k, found->first));
      if (!record(tensor)) record(tensor) = input;
    }
    if (entry.output) {
      check_shape(found->first, "output", *entry.output, layer.output);
      if (has_weights(layer)) take_folded(found->first, *entry.output);
      record(layer.output) = entry.output;
    }
    result_.statistics[result_.modules[i]] = std::move(entry);
  }

  // The only entry of no layer's name whose inputs and shape are those of the layer. What has
  // weights keeps its name when it is exported.
  NetworkStatistics::const_iterator by_inputs(const FloatLayer& layer) {
    if (only_moves(layer) || has_weights(layer)) return read_.end();
    auto found = read_.end();
    for (auto entry = read_.begin(); entry != read_.end(); ++entry) {
      if (!suits(entry->first, entry->second, layer)) continue;
      if (found != read_.end()) return read_.end();
      found = entry;
    }
    return found;
  }

  bool suits(const std::string& name, const LayerStatistics& entry, const FloatLayer& layer) {
    if (!unused_.contains(name) || names_.contains(name) ||
        entry.inputs.size() != layer.inputs.size() || !entry.output)
      return false;
    if (is_clamp(layer) && !is_relu_of(*entry.output, entry.inputs.begin()->second)) return false;
    const auto& shape = entry.output->shape;
    const auto& own = network_.tensor(layer.output).shape;
    if (!shape.empty() && !std::equal(shape.begin() + 1, shape.end(), own.begin(), own.end()))
      return false;
    for (size_t k = 0; k < layer.inputs.size(); ++k) {
      const auto input = entry.inputs.find(static_cast<int>(k));
      const auto& known = record(layer.inputs[k]);
      if (!known || input == entry.inputs.end() || !same_tensor(*known, input->second))
        return false;
    }
    return true;
  }

  void take_folded(const std::string& module, TensorStatistics& output) {
    for (const auto& [name, entry] : read_) {
      if (!unused_.contains(name) || names_.contains(name) || entry.inputs.size() != 1 ||
          !entry.output || entry.output->shape != entry.inputs.begin()->second.shape) {
        continue;
      }
      const TensorStatistics& input = entry.inputs.begin()->second;
      if (!same_tensor(input, output) || is_relu_of(*entry.output, input)) continue;
      result_.folded.emplace_back(name, module);
      output = *entry.output;
      unused_.erase(name);
      return;
    }
  }

  void check_shape(const std::string& module, const std::string& what, const TensorStatistics& s,
                   int tensor) const {
    if (s.shape.size() < 2) return;
    const std::vector<int64_t> seen(s.shape.begin() + 1, s.shape.end()),
        &own = network_.tensor(tensor).shape;
    if (seen == own) return;
    throw InputError({.file = file_,
                      .where = "layer '" + module + "'",
                      .field = what,
                      .problem = fmt::format("has the shape {} per image, the network's is {}",
                                             shape_of(seen), shape_of(own)),
                      .fix = "these are another network's statistics: collect them again"});
  }

  const FloatNetwork& network_;
  const NetworkStatistics& read_;
  const std::string& file_;
  std::vector<std::optional<TensorStatistics>> records_;  // by tensor
  std::set<int> moved_;  // tensors whose record is that of what they were moved from
  std::set<std::string> names_, unused_;
  MatchedStatistics result_;
};

}  // namespace

MatchedStatistics match_statistics(const FloatNetwork& network,
                                   const std::vector<std::string>& modules,
                                   const NetworkStatistics& read, const std::string& file) {
  return Matcher(network, modules, read, file).run();
}

}  // namespace widthwise
