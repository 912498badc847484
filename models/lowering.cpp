#include "models/lowering.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/movement.h"
#include "models/node_work.h"
#include "models/operator.h"
#include "models/shape_inference.h"

namespace widthwise {

LayerBuilder::LayerBuilder(const Graph& graph, const ValueShapes& shapes, Clamps clamps)
    : graph_(graph), shapes_(shapes), clamps_(clamps), readers_(reader_counts(graph)) {
  network_.name = graph.name;
  for (const GraphNode& node : graph.nodes) names_.insert(node.name);
  network_.input = tensor(graph.inputs[0].name);
}

int LayerBuilder::tensor(const std::string& value) {
  const auto [found, is_new] = index_.emplace(value, static_cast<int>(network_.tensors.size()));
  if (is_new) {
    const Shape& shape = shapes_.at(value);
    network_.tensors.push_back({.name = value, .shape = {shape.begin() + 1, shape.end()}});
  }
  return found->second;
}

// The node's for its first layer, so that the node can be found by it.
std::string LayerBuilder::unique_name(const std::string& node) {
  if (named_.insert(node).second) return node;
  std::string name;
  for (int i = 1; name.empty() || !names_.insert(name).second; ++i)
    name = fmt::format("{}_{}", node, i);
  return name;
}

void LayerBuilder::add(const NodeView& node, FloatLayer layer,
                       const std::vector<std::string>& inputs, size_t output) {
  const std::string& written = node.node().outputs[output];
  if (written.empty() || !readers_.contains(written)) return;
  layer.name = unique_name(node.node().name);
  layer.operator_type = node.node().op_type;
  for (const std::string& value : inputs) layer.inputs.push_back(tensor(value));
  layer.output = tensor(written);
  writer_[written] = network_.layers.size();
  network_.layers.push_back(std::move(layer));
}

void LayerBuilder::add(const NodeView& node, FloatLayer layer) {
  add(node, std::move(layer), {node.node().inputs[0]});
}

void LayerBuilder::reserve(const NodeView& node, double elements) {
  constexpr double kMost = 1 << 26;
  reserved_ += elements;
  if (reserved_ <= kMost) return;
  node.refuse("output",
              fmt::format("brings the elements that are moved or averaged per image to {:.0f}, "
                          "allowed {:.0f} in all",
                          reserved_, kMost),
              "use a smaller input");
}

void LayerBuilder::clamp(const NodeView& node, float low, float high) {
  const std::string& read = node.node().inputs[0];
  const std::string& written = node.node().outputs[0];
  const auto writer = writer_.find(read);
  if (clamps_ == Clamps::kFused && writer != writer_.end() && readers_.at(read) == 1) {
    FloatLayer& layer = network_.layers[writer->second];
    if (std::holds_alternative<MatmulWorkload>(layer.workload) ||
        std::holds_alternative<ElementwiseWorkload>(layer.workload)) {
      layer.low = std::clamp(layer.low, low, high);
      layer.high = std::clamp(layer.high, low, high);
      network_.tensors[static_cast<size_t>(layer.output)].name = written;
      index_[written] = layer.output;
      writer_[written] = writer->second;
      return;
    }
  }
  const int64_t elements = shape_elements(shapes_.at(read));
  FloatLayer layer;
  layer.workload = ElementwiseWorkload{ElementwiseWorkload::Kind::kClamp, elements};
  layer.low = low;
  layer.high = high;
  add(node, std::move(layer));
}

FloatNetwork LayerBuilder::finish() {
  network_.output = tensor(graph_.outputs[0].name);
  return std::move(network_);
}

FloatNetwork lower(const Graph& folded, Clamps clamps) {
  require_image_network(folded);
  const ValueShapes shapes = infer_image_shapes(folded);
  LayerBuilder builder(folded, shapes, clamps);
  for (const GraphNode& node : folded.nodes) {
    const NodeView view(folded, node, shapes, true);
    const Operator& op = checked_operator(view);
    if (op.lower == nullptr) {
      view.refuse("operator", "has no layer: it runs as it is, but cannot be quantized",
                  "run the network instead, or end it before this node");
    }
    if (moves_elements(node) || node.op_type == "Dropout" || node.op_type == "Pad") {
      for (const std::string& value : node.outputs) {
        if (!value.empty()) builder.reserve(view, real_elements(shapes.at(value)));
      }
    }
    op.lower(view, builder);
  }
  return builder.finish();
}

int64_t network_macs(const FloatNetwork& network) {
  int64_t macs = 0;
  for (const FloatLayer& layer : network.layers) {
    if (const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload)) macs += matmul->macs();
  }
  return macs;
}

int64_t network_parameters(const FloatNetwork& network) {
  int64_t parameters = 0;
  for (const FloatLayer& layer : network.layers) {
    const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload);
    if (matmul == nullptr) continue;
    if (!matmul->unit_weights) parameters += matmul->weight_elements();
    parameters += static_cast<int64_t>(layer.bias.size());
  }
  return parameters;
}

}  // namespace widthwise
