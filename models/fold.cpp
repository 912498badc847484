#include "models/fold.h"

#include <fmt/format.h>

#include <optional>
#include <set>

#include "models/constant_folding.h"
#include "models/ops/axes.h"
#include "models/ops/batch_normalization.h"
#include "models/ops/per_channel.h"
#include "models/shape_inference.h"

namespace widthwise {
namespace {

// What the node does to each channel of its input `read`, if it is one that can be folded.
struct FoldableNode {
  std::string read;
  ChannelAffine affine;
};

std::optional<FoldableNode> foldable(const NodeView& view) {
  const GraphNode& node = view.node();
  if (node.op_type == "BatchNormalization")
    return FoldableNode{node.inputs[0], read_batch_normalization(view, view.shape(0)[1])};
  if (const auto operand = constant_operand(view))
    return FoldableNode{node.inputs[operand->activation], operand->affine};
  return std::nullopt;
}

// Constants of the layer that takes the affine map, one copy each: initializers may be shared.
std::string add_constant(Graph& graph, UnusedNames& names, const std::string& wanted,
                         Tensor tensor) {
  std::string name = names.take(wanted);
  graph.initializers.emplace(name, std::move(tensor));
  return name;
}

float scaled(float value, double factor) {
  return static_cast<float>(static_cast<double>(value) * factor);
}

// weight and bias of a Conv, Gemm or MatMul, such that it gives scale * y + offset instead of y.
void apply(Graph& graph, UnusedNames& names, GraphNode& layer, const NodeView& view,
           const ChannelAffine& affine) {
  const size_t channels = affine.scale.size();
  Tensor weight = view.float_constant(1, "weight");
  const bool channel_last =
      layer.op_type == "MatMul" || (layer.op_type == "Gemm" && view.integer("transB", 0) == 0);
  const auto values = weight.write<float>();
  const size_t run = values.size() / channels;  // weights per output channel
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = scaled(values[i], affine.scale[channel_last ? i % channels : i / run]);
  }
  const double beta = layer.op_type == "Gemm" ? static_cast<double>(view.real("beta", 1)) : 1.0;
  std::vector<float> bias;
  for (size_t c = 0; c < channels; ++c) {
    double value = affine.offset[c];
    if (view.has_input(2)) {
      const auto old = view.float_constant(2, "bias").values<float>();
      value += beta * static_cast<double>(old[old.size() == 1 ? 0 : c]) * affine.scale[c];
    }
    bias.push_back(static_cast<float>(value));
  }
  if (layer.op_type == "MatMul") layer.op_type = "Gemm";
  if (layer.op_type == "Gemm") layer.attributes.erase("beta");
  layer.inputs.resize(3);
  layer.inputs[1] = add_constant(graph, names, layer.inputs[1] + "_folded", std::move(weight));
  layer.inputs[2] = add_constant(graph, names, layer.name + "_bias_folded",
                                 Tensor::floats({static_cast<int64_t>(channels)}, bias));
}

bool takes_affine(const NodeView& layer) {
  const std::string& type = layer.node().op_type;
  return type == "Conv" || type == "Gemm" || (type == "MatMul" && layer.shape(0).size() == 2);
}

// Whether the node is a mean over all spatial axes of [N, C, L] or [N, C, H, W].
bool is_spatial_mean(const NodeView& view) {
  if (view.node().op_type != "ReduceMean" || view.node().domain != kOnnxDomain) return false;
  const size_t rank = view.shape(0).size();
  const auto axes = stated_axes(view, 18);
  if (!axes || (rank != 3 && rank != 4)) return false;
  std::set<size_t> reduced;
  for (const int64_t axis : *axes) reduced.insert(view.axis("axes", axis, rank));
  return reduced.size() == rank - 2 && *reduced.begin() == 2;
}

// Writes such means as a GlobalAveragePool, with a Flatten where the axes do not stay.
void rewrite_spatial_means(Graph& graph, const ValueShapes& shapes) {
  std::vector<GraphNode> nodes;
  UnusedNames names(graph);
  for (const GraphNode& node : graph.nodes) {
    nodes.push_back(node);
    const NodeView view(graph, node, shapes, true);
    if (!is_spatial_mean(view)) continue;
    const bool flatten = view.integer("keepdims", 1) == 0;
    GraphNode& pool = nodes.back();
    pool.op_type = "GlobalAveragePool";
    pool.inputs.resize(1);
    pool.attributes.clear();
    if (!flatten) continue;
    pool.outputs[0] = names.take(node.outputs[0] + "_pooled");
    nodes.push_back({.name = node.name + "_Flatten",
                     .op_type = "Flatten",
                     .inputs = {pool.outputs[0]},
                     .outputs = node.outputs,
                     .attributes = {}});
  }
  graph.nodes = std::move(nodes);
}

}  // namespace

Graph fold(Graph graph) {
  require_image_network(graph);
  fold_constants(graph, {.one_image = true});
  remove_unused(graph);
  rewrite_spatial_means(graph, infer_image_shapes(graph));
  const ValueShapes shapes = infer_image_shapes(graph);
  const auto readers = reader_counts(graph);
  UnusedNames names(graph);
  std::map<std::string, size_t> writer;  // value -> index in `kept`
  std::vector<GraphNode> kept;
  for (const GraphNode& node : graph.nodes) {
    const auto step = foldable(NodeView(graph, node, shapes, true));
    const auto found = step ? writer.find(step->read) : writer.end();
    if (found != writer.end() && readers.at(step->read) == 1) {
      const GraphNode before = kept[found->second];
      const NodeView view(graph, before, shapes, true);
      if (takes_affine(view)) {
        apply(graph, names, kept[found->second], view, step->affine);
        kept[found->second].outputs[0] = node.outputs[0];
        writer[node.outputs[0]] = found->second;
        continue;
      }
    }
    for (const std::string& value : node.outputs) writer[value] = kept.size();
    kept.push_back(node);
  }
  graph.nodes = std::move(kept);
  remove_unused(graph);
  return graph;
}

}  // namespace widthwise
