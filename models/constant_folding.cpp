#include "models/constant_folding.h"

#include <fmt/format.h>

#include <set>

#include "core/error.h"
#include "models/operator.h"
#include "models/ops/copy.h"
#include "models/ops/shape.h"
#include "models/shape_inference.h"

namespace widthwise {
namespace {

// The tensor of a Constant node, which one of five attributes holds.
Tensor constant_value(const NodeView& view) {
  const auto& attributes = view.node().attributes;
  const std::string known = "value, value_float, value_floats, value_int, value_ints";
  if (attributes.size() == 1) {
    const auto& [name, value] = *attributes.begin();
    if (const auto* tensor = std::get_if<Tensor>(&value)) {
      if (name == "value") return *tensor;
    } else if (const auto* real = std::get_if<float>(&value)) {
      if (name == "value_float") return Tensor::scalar(*real);
    } else if (const auto* reals = std::get_if<std::vector<float>>(&value)) {
      if (name == "value_floats")
        return Tensor::floats({static_cast<int64_t>(reals->size())}, *reals);
    } else if (const auto* integer = std::get_if<int64_t>(&value)) {
      if (name == "value_int") return {ElementType::kInt64, {}, std::vector{*integer}};
    } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
      if (name == "value_ints") return Tensor::list(*integers);
    }
  }
  view.refuse("attributes", fmt::format("must be exactly one of {}", known),
              "write the constant as the attribute 'value'");
}

// Outputs of a node that reads constants only, by the operator's definition.
std::vector<Tensor> evaluate_constant(const NodeView& view) {
  std::vector<const Tensor*> inputs;
  for (size_t i = 0; i < view.input_count(); ++i) inputs.push_back(view.constant(i));
  return evaluate_node(NodeView(view.graph(), view.node(), std::move(inputs)));
}

// A Clip of integers states how many bits they have.
bool says_how_quantized(const NodeView& view) {
  const GraphNode& node = view.node();
  return node.op_type == "DequantizeLinear" || node.domain == kQonnxDomain ||
         (node.op_type == "Clip" && view.constant(0) != nullptr &&
          !is_real(view.constant(0)->type()));
}

bool is_constant(const NodeView& view) {
  return view.input_count() > 0 && view.has_input(0) && !view.has_activation();
}

bool copies(const NodeView& view) {
  checked_operator(view);
  return is_copy(view);
}

// Shape of an activation of one image.
bool is_known_shape(const NodeView& view, const ValueShapes& shapes) {
  return view.node().op_type == "Shape" && view.has_input(0) &&
         shapes.contains(view.node().inputs[0]);
}

void rename(Graph& graph, const std::string& from, const std::string& to) {
  for (GraphNode& node : graph.nodes) {
    for (std::string& value : node.inputs) value = value == from ? to : value;
    for (std::string& value : node.outputs) value = value == from ? to : value;
  }
}

}  // namespace

void fold_constants(Graph& graph, const FoldOptions& options) {
  ValueShapes shapes;
  if (options.one_image) shapes = image_input_shapes(graph);
  std::map<std::string, std::string> renamed;  // output of a copy -> its input
  std::vector<GraphNode> kept;
  for (GraphNode& node : graph.nodes) {
    for (std::string& value : node.inputs) {
      if (const auto found = renamed.find(value); found != renamed.end()) value = found->second;
    }
    const NodeView view(graph, node, shapes, options.one_image);
    if (node.op_type == "Constant" && node.domain == kOnnxDomain) {
      if (node.outputs.size() != 1) view.refuse("outputs", "must be one", "correct the file");
      graph.initializers[node.outputs[0]] = constant_value(view);
    } else if (is_constant(view) &&
               !(options.keep_quantized_constants && says_how_quantized(view))) {
      const auto tensors = evaluate_constant(view);
      for (size_t i = 0; i < node.outputs.size() && i < tensors.size(); ++i) {
        graph.initializers[node.outputs[i]] = tensors[i];
      }
    } else if (is_known_shape(view, shapes)) {
      checked_operator(view);
      graph.initializers[node.outputs.at(0)] = shape_value(view);
    } else if (copies(view) && node.outputs.size() == 1 && !graph.is_output(node.outputs[0])) {
      renamed[node.outputs[0]] = node.inputs[0];
    } else {
      if (options.one_image) add_output_shapes(view, shapes);
      kept.push_back(node);
    }
  }
  graph.nodes = std::move(kept);
  for (const GraphValue& output : graph.outputs) {
    if (!options.one_image || !graph.initializers.contains(output.name)) continue;
    throw InputError({.file = graph.file,
                      .where = fmt::format("output '{}'", output.name),
                      .field = "",
                      .problem = "does not depend on the input",
                      .fix = "name an output that is computed from the input"});
  }
  // A copy that writes an output: whoever writes its input writes the output instead. One
  // that copies an input, a constant or another output stays.
  const ValueShapes none;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode node = graph.nodes[i];
    const bool copy = is_copy(NodeView(graph, node, none));
    if (!copy || node.outputs.size() != 1 || graph.is_input(node.inputs[0]) ||
        graph.is_output(node.inputs[0]) || graph.initializers.contains(node.inputs[0]))
      continue;
    graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i--));
    rename(graph, node.inputs[0], node.outputs[0]);
  }
}

void remove_unused(Graph& graph) {
  std::set<std::string> needed;
  for (const GraphValue& output : graph.outputs) needed.insert(output.name);
  std::vector<GraphNode> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    bool used = false;
    for (const std::string& value : node->outputs) used = used || needed.contains(value);
    if (!used) continue;
    needed.insert(node->inputs.begin(), node->inputs.end());
    kept.push_back(*node);
  }
  graph.nodes.assign(kept.rbegin(), kept.rend());
  std::erase_if(graph.initializers, [&](const auto& item) { return !needed.contains(item.first); });
}

}  // namespace widthwise
