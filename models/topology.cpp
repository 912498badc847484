#include "models/topology.h"

#include <fmt/format.h>

#include <functional>
#include <queue>
#include <set>

#include "core/error.h"

namespace widthwise {
namespace {

std::string place(const GraphNode& node) {
  return fmt::format("node '{}' ({})", node.name, node.op_type);
}

[[noreturn]] void refuse(const Graph& graph, std::string where, std::string field,
                         std::string problem, std::string fix) {
  throw InputError({.file = graph.file,
                    .where = std::move(where),
                    .field = std::move(field),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

// Value -> index of the node that writes it.
std::map<std::string, size_t> find_writers(const Graph& graph,
                                           const std::set<std::string>& inputs) {
  std::map<std::string, size_t> writers;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    for (const std::string& value : node.outputs) {
      if (value.empty()) continue;
      const bool taken = inputs.contains(value) || graph.initializers.contains(value);
      if (taken || !writers.emplace(value, i).second) {
        refuse(graph, place(node), fmt::format("output '{}'", value),
               taken ? "has the name of an input or initializer" : "is written by two nodes",
               "give every value its own name");
      }
    }
  }
  return writers;
}

}  // namespace

void sort_nodes(Graph& graph) {
  const std::set<std::string> inputs = names_of(graph.inputs);
  const auto writers = find_writers(graph, inputs);
  const size_t count = graph.nodes.size();
  std::vector<std::vector<size_t>> readers(count);
  std::vector<size_t> missing(count, 0);  // inputs that are not written yet
  for (size_t i = 0; i < count; ++i) {
    for (const std::string& value : graph.nodes[i].inputs) {
      if (value.empty() || inputs.contains(value) || graph.initializers.contains(value)) {
        continue;
      }
      const auto writer = writers.find(value);
      if (writer == writers.end()) {
        refuse(graph, place(graph.nodes[i]), fmt::format("input '{}'", value),
               "is not the output of a node, the input of the network or an initializer",
               "the file is incomplete: export the network again");
      }
      readers[writer->second].push_back(i);
      ++missing[i];
    }
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < count; ++i) {
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<GraphNode> sorted;
  while (!ready.empty()) {
    const size_t i = ready.top();
    ready.pop();
    sorted.push_back(std::move(graph.nodes[i]));
    for (const size_t reader : readers[i]) {
      if (--missing[reader] == 0) ready.push(reader);
    }
  }
  for (size_t i = 0; i < count; ++i) {
    if (missing[i] == 0) continue;
    refuse(graph, place(graph.nodes[i]), "", "is on a cycle, or reads from one",
           "a network must be free of cycles: unroll the recurrence");
  }
  for (const GraphValue& output : graph.outputs) {
    const std::string& name = output.name;
    if (writers.contains(name) || inputs.contains(name) || graph.initializers.contains(name))
      continue;
    refuse(graph, fmt::format("output '{}'", name), "", "is not written by any node",
           "name a value that a node writes");
  }
  graph.nodes = std::move(sorted);
}

}  // namespace widthwise
