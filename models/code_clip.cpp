#include "models/code_clip.h"

#include "models/fuse_passes.h"
#include "models/operator.h"

namespace widthwise {

std::optional<CodeClip> code_clip(const Graph& graph, const GraphNode& node) {
  if (node.domain != kOnnxDomain || node.op_type != "Clip" || node.inputs.size() != 3)
    return std::nullopt;
  int64_t limits[2];
  for (size_t i = 0; i < 2; ++i) {
    const auto found = graph.initializers.find(node.inputs[i + 1]);
    if (found == graph.initializers.end() || found->second.elements() != 1 ||
        is_real(found->second.type()))
      return std::nullopt;
    limits[i] = found->second.integer(0);
  }
  const auto [low, high] = limits;
  for (int bits = 1; bits <= 16 && low <= high; ++bits) {
    const IntegerFormat format{bits, low < 0};
    if (format.holds(low) && format.holds(high)) return CodeClip{low, high, format};
  }
  return std::nullopt;
}

void note_code_formats(Graph& graph) {
  std::vector<GraphNode> kept;
  for (GraphNode& node : graph.nodes) {
    const auto clip = code_clip(graph, node);
    if (clip) graph.formats[node.outputs.at(0)] = clip->format;
    const auto codes = clip ? graph.initializers.find(node.inputs[0]) : graph.initializers.end();
    if (codes == graph.initializers.end()) {
      kept.push_back(std::move(node));
      continue;
    }
    std::vector<const Tensor*> inputs = {&codes->second, &graph.initializers.at(node.inputs[1]),
                                         &graph.initializers.at(node.inputs[2])};
    graph.initializers[node.outputs[0]] =
        evaluate_node(NodeView(graph, node, std::move(inputs))).at(0);
  }
  graph.nodes = std::move(kept);
}

}  // namespace widthwise
