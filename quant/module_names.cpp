#include "quant/module_names.h"

#include <algorithm>
#include <vector>

namespace widthwise {
namespace {

std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts;
  size_t begin = 1;
  while (begin <= name.size()) {
    const size_t end = std::min(name.find('/', begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// A part that repeats the one before it ("layer1", "layer1.0") takes its place.
std::string joined(const std::vector<std::string>& parts, size_t count) {
  std::string path, last;
  for (size_t i = 0; i < count; ++i) {
    const std::string& part = parts[i];
    const bool repeats = i > 0 && part.starts_with(parts[i - 1] + ".");
    if (repeats) path.resize(path.size() - last.size());
    if (!repeats && !path.empty()) path += '.';
    path += part;
    last = part;
  }
  return path;
}

}  // namespace

std::map<std::string, std::string> module_names(const Graph& graph) {
  std::map<std::string, int> nodes_below;  // scope, with all scopes inside
  for (const GraphNode& node : graph.nodes) {
    if (!node.name.starts_with('/')) continue;
    const auto parts = parts_of(node.name);
    for (size_t i = 1; i < parts.size(); ++i) ++nodes_below[joined(parts, i)];
  }
  std::map<std::string, std::string> names;
  UnusedNames used;
  for (const GraphNode& node : graph.nodes) {
    std::string name = node.name;
    if (name.starts_with('/')) {
      const auto parts = parts_of(node.name);
      const std::string scope = joined(parts, parts.size() - 1);
      name = !scope.empty() && nodes_below[scope] == 1 ? scope : joined(parts, parts.size());
    }
    names[node.name] = used.take(name);
  }
  return names;
}

}  // namespace widthwise
