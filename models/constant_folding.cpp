#include "models/constant_folding.h"

#include <fmt/format.h>

#include <set>

#include "core/error.h"
#include "models/operator.h"
#include "models/ops/copy.h"

namespace widthwise {
namespace {

// The tensor of a Constant node, which one of five attributes holds.
GraphTensor constant_value(const NodeView& view) {
  const auto& attributes = view.node().attributes;
  const std::string known = "value, value_float, value_floats, value_int, value_ints";
  if (attributes.size() == 1) {
    const auto& [name, value] = *attributes.begin();
    if (const auto* tensor = std::get_if<GraphTensor>(&value)) {
      if (name == "value") return *tensor;
    } else if (const auto* real = std::get_if<float>(&value)) {
      if (name == "value_float") return {ElementType::kFloat, {}, {*real}, {}};
    } else if (const auto* reals = std::get_if<std::vector<float>>(&value)) {
      const auto count = static_cast<int64_t>(reals->size());
      if (name == "value_floats") return {ElementType::kFloat, {count}, *reals, {}};
    } else if (const auto* integer = std::get_if<int64_t>(&value)) {
      if (name == "value_int") return {ElementType::kInt64, {}, {}, {*integer}};
    } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
      const auto count = static_cast<int64_t>(integers->size());
      if (name == "value_ints") return {ElementType::kInt64, {count}, {}, *integers};
    }
  }
  view.refuse("attributes", fmt::format("must be exactly one of {}", known),
              "write the constant as the attribute 'value'");
}

Values as_values(const GraphTensor& tensor) {
  if (tensor.type == ElementType::kFloat) return {tensor.floats.begin(), tensor.floats.end()};
  return {tensor.integers.begin(), tensor.integers.end()};
}

// Outputs of a node that reads constants only, by the operator's definition.
std::vector<GraphTensor> evaluate(const NodeView& view) {
  const Operator& op = checked_operator(view);
  const std::vector<Shape> shapes = op.infer_shape(view);
  std::vector<Values> inputs;
  for (size_t i = 0; i < view.input_count(); ++i) {
    inputs.push_back(view.has_input(i) ? as_values(*view.constant(i)) : Values{});
  }
  for (const Shape& shape : shapes) {
    if (shape_elements(shape) < 0)
      view.refuse("output", "is too large", "let the exporter fold constants");
  }
  const std::vector<Values> outputs = op.reference(view, inputs);
  std::vector<GraphTensor> tensors;
  for (size_t i = 0; i < outputs.size(); ++i) {
    GraphTensor& tensor = tensors.emplace_back();
    tensor.type = view.constant(0)->type;
    tensor.shape = shapes[i];
    for (const double value : outputs[i]) {
      if (tensor.type == ElementType::kFloat) {
        tensor.floats.push_back(static_cast<float>(value));
      } else {
        tensor.integers.push_back(static_cast<int64_t>(value));
      }
    }
  }
  return tensors;
}

bool is_constant(const NodeView& view) {
  return view.input_count() > 0 && view.has_input(0) && !view.has_activation();
}

bool copies(const NodeView& view) {
  checked_operator(view);
  return is_copy(view);
}

void rename(Graph& graph, const std::string& from, const std::string& to) {
  for (GraphNode& node : graph.nodes) {
    for (std::string& value : node.inputs) value = value == from ? to : value;
    for (std::string& value : node.outputs) value = value == from ? to : value;
  }
}

}  // namespace

void fold_constants(Graph& graph) {
  const ValueShapes none;
  std::map<std::string, std::string> renamed;  // output of a copy -> its input
  std::vector<GraphNode> kept;
  for (GraphNode& node : graph.nodes) {
    for (std::string& value : node.inputs) {
      if (const auto found = renamed.find(value); found != renamed.end()) value = found->second;
    }
    const NodeView view(graph, node, none);
    if (node.op_type == "Constant") {
      if (node.outputs.size() != 1) view.refuse("outputs", "must be one", "correct the file");
      graph.initializers[node.outputs[0]] = constant_value(view);
    } else if (is_constant(view)) {
      const auto tensors = evaluate(view);
      for (size_t i = 0; i < node.outputs.size() && i < tensors.size(); ++i) {
        graph.initializers[node.outputs[i]] = tensors[i];
      }
    } else if (copies(view) && node.outputs.size() == 1 && node.outputs[0] != graph.output.name) {
      renamed[node.outputs[0]] = node.inputs[0];
    } else {
      kept.push_back(node);
    }
  }
  graph.nodes = std::move(kept);
  if (graph.initializers.contains(graph.output.name)) {
    throw InputError({.file = graph.file,
                      .where = fmt::format("output '{}'", graph.output.name),
                      .field = "",
                      .problem = "does not depend on the input",
                      .fix = "name an output that is computed from the input"});
  }
  // A copy that writes the output: whoever writes its input writes the output instead. One
  // that only copies the network's input stays.
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode node = graph.nodes[i];
    const bool copy = is_copy(NodeView(graph, node, none));
    if (!copy || node.outputs.size() != 1 || node.inputs[0] == graph.input.name) continue;
    graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i));
    rename(graph, node.inputs[0], node.outputs[0]);
    break;  // only one writes the output
  }
}

void remove_unused(Graph& graph) {
  std::set<std::string> needed = {graph.output.name};
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
