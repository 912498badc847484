#pragma once
#include <map>

#include "models/operator.h"

namespace widthwise {

using NamedTensors = std::map<std::string, Tensor>;

// Every value of a graph by the operators' definitions, one node after the other.
inline NamedTensors run_nodes(const Graph& graph, NamedTensors values) {
  for (const auto& [name, tensor] : graph.initializers) values[name] = tensor;
  for (const GraphNode& node : graph.nodes) {
    std::vector<const Tensor*> inputs;
    for (const std::string& value : node.inputs)
      inputs.push_back(value.empty() ? nullptr : &values.at(value));
    if (node.op_type == "Constant") {
      values[node.outputs[0]] = std::get<Tensor>(node.attributes.at("value"));
      continue;
    }
    const auto outputs = evaluate_node(NodeView(graph, node, inputs));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.outputs[i].empty()) values[node.outputs[i]] = outputs.at(i);
    }
  }
  return values;
}

}  // namespace widthwise
