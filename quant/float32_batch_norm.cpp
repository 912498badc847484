#include "quant/float32_batch_norm.h"

#include <cmath>
#include <map>

namespace widthwise {
namespace {

// Constant float inputs of a node, from input `first` on; empty if one is none.
std::vector<const Tensor*> constants(const Graph& graph, const GraphNode& node, size_t first) {
  std::vector<const Tensor*> all;
  for (size_t i = first; i < node.inputs.size(); ++i) {
    const auto found = graph.initializers.find(node.inputs[i]);
    if (found == graph.initializers.end() || found->second.type() != ElementType::kFloat) return {};
    all.push_back(&found->second);
  }
  return all;
}

void fold_into(Graph& graph, GraphNode& conv, const GraphNode& norm) {
  const auto own = constants(graph, conv, 1), parameters = constants(graph, norm, 1);
  Tensor weight = *own[0];
  const auto channels = static_cast<size_t>(weight.shape()[0]);
  Tensor bias = own.size() > 1 ? *own[1] : Tensor(ElementType::kFloat, {weight.shape()[0]});
  const float epsilon = attribute_of(norm, "epsilon", 1e-5F);
  const auto gamma = parameters[0]->values<float>(), beta = parameters[1]->values<float>(),
             mean = parameters[2]->values<float>(), variance = parameters[3]->values<float>();
  const auto w = weight.write<float>(), b = bias.write<float>();
  const size_t each = w.size() / channels;
  for (size_t oc = 0; oc < channels; ++oc) {
    const float deviation = std::sqrt(variance[oc] + epsilon);
    const float reciprocal = 1 / deviation;
    const float factor = gamma[oc] * reciprocal;
    for (size_t i = oc * each; i < (oc + 1) * each; ++i) w[i] *= factor;
    const float shift = gamma[oc] * (mean[oc] - b[oc]) * reciprocal;
    b[oc] = beta[oc] - shift;
  }
  UnusedNames names(graph);
  const std::string weight_name = names.take(conv.inputs[1] + "_folded"),
                    bias_name = names.take(conv.outputs[0] + "_bias");
  graph.initializers.insert_or_assign(weight_name, weight);
  graph.initializers.insert_or_assign(bias_name, bias);
  conv.inputs = {conv.inputs[0], weight_name, bias_name};
  conv.outputs[0] = norm.outputs[0];
}

}  // namespace

Graph fold_batch_norm_in_float32(Graph graph) {
  const auto readers = reader_counts(graph);
  std::map<std::string, size_t> writers;
  std::vector<GraphNode> kept;
  for (GraphNode& node : graph.nodes) {
    const auto writer = node.inputs.empty() ? writers.end() : writers.find(node.inputs[0]);
    if (node.op_type == "BatchNormalization" && node.domain == kOnnxDomain &&
        writer != writers.end() && readers.at(node.inputs[0]) == 1) {
      GraphNode& conv = kept[writer->second];
      if (conv.op_type == "Conv" && !constants(graph, conv, 1).empty() &&
          constants(graph, node, 1).size() == 4) {
        const size_t at = writer->second;
        fold_into(graph, conv, node);
        writers[conv.outputs[0]] = at;
        continue;
      }
    }
    for (const std::string& output : node.outputs) writers[output] = kept.size();
    kept.push_back(node);
  }
  graph.nodes = std::move(kept);
  return graph;
}

}  // namespace widthwise
