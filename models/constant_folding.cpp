#include "models/constant_folding.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <set>

#include "core/error.h"
#include "models/node_work.h"
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

// What folding may make of a file: constants that grow, as ConstantOfShape and Expand can, and
// products take no more memory and time than its own constants justify.
class Budget {
 public:
  explicit Budget(const Graph& graph) {
    double stored = 0;
    for (const auto& [name, tensor] : graph.initializers)
      stored += static_cast<double>(tensor.elements());
    for (const GraphNode& node : graph.nodes) {
      for (const auto& [name, value] : node.attributes) {
        if (const auto* tensor = std::get_if<Tensor>(&value))
          stored += static_cast<double>(tensor->elements());
      }
    }
    elements_ = (1 << 24) + 16 * stored;
    work_ = (1 << 25) + 64 * stored;
  }

  void take(const NodeView& view) {
    const std::vector<Shape> shapes = checked_operator(view).infer_shape(view);
    for (const Shape& shape : shapes) elements_ -= real_elements(shape);
    work_ -= node_work(view, shapes);
    if (elements_ >= 0 && work_ >= 0) return;
    view.refuse("output",
                fmt::format("makes a constant of the shape {}: the constants of this file take too "
                            "{} to compute",
                            shapes.empty() ? "[]" : shape_text(shapes[0]),
                            elements_ < 0 ? "much memory" : "long"),
                "fold constants before (onnxsim), or store them as initializers");
  }

 private:
  double elements_, work_;  // what is left; see node_work()
};

// Outputs of a node that reads constants only, by the operator's definition.
std::vector<Tensor> evaluate_constant(const NodeView& view, Budget& budget) {
  std::vector<const Tensor*> inputs;
  for (size_t i = 0; i < view.input_count(); ++i) inputs.push_back(view.constant(i));
  const NodeView bound(view.graph(), view.node(), std::move(inputs));
  budget.take(bound);
  return evaluate_node(bound);
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
  if (!is_copy(view)) return false;
  if (!view.has_input(0)) view.refuse("input 0", "is missing", "export the network again");
  return true;
}

// Shape of an activation of one image.
bool is_known_shape(const NodeView& view, const ValueShapes& shapes) {
  return view.node().op_type == "Shape" && view.has_input(0) &&
         shapes.contains(view.node().inputs[0]);
}

// A copy that writes an output: whoever writes its input writes the output instead. One that copies
// an input, a constant or another output stays.
void drop_copies_to_outputs(Graph& graph) {
  const std::set<std::string> inputs = names_of(graph.inputs), outputs = names_of(graph.outputs);
  std::map<std::string, std::string> renamed;
  const auto rename = [&](std::vector<std::string>& values) {
    for (std::string& value : values) {
      if (const auto found = renamed.find(value); found != renamed.end()) value = found->second;
    }
  };
  const ValueShapes none;
  std::vector<GraphNode> kept;
  for (GraphNode& node : graph.nodes) {
    rename(node.inputs);
    const bool copy = is_copy(NodeView(graph, node, none)) && node.outputs.size() == 1;
    if (!copy || inputs.contains(node.inputs[0]) || outputs.contains(node.inputs[0]) ||
        graph.initializers.contains(node.inputs[0])) {
      kept.push_back(std::move(node));
    } else {
      renamed[node.inputs[0]] = node.outputs[0];
    }
  }
  for (GraphNode& node : kept) {
    rename(node.inputs);
    rename(node.outputs);
  }
  graph.nodes = std::move(kept);
}

// Constants that all of their readers have been computed from go away.
class Readers {
 public:
  explicit Readers(Graph& graph) : graph_(graph), counts_(reader_counts(graph)) {}
  void done(const GraphNode& node) {
    for (const std::string& value : node.inputs) {
      if (value.empty() || --counts_[value] > 0) continue;
      graph_.initializers.erase(value);
    }
  }
  // Who read `copy` reads `value`.
  void rename(const std::string& copy, const std::string& value) {
    counts_[value] += counts_[copy] - 1;
  }

 private:
  Graph& graph_;
  std::map<std::string, int> counts_;
};

}  // namespace

void fold_constants(Graph& graph, const FoldOptions& options) {
  ValueShapes shapes;
  if (options.one_image) shapes = image_input_shapes(graph);
  const std::set<std::string> outputs = names_of(graph.outputs);
  Budget budget(graph);
  Readers readers(graph);
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
      std::vector<Tensor> tensors = evaluate_constant(view, budget);
      for (size_t i = 0; i < node.outputs.size() && i < tensors.size(); ++i) {
        if (!node.outputs[i].empty()) graph.initializers[node.outputs[i]] = std::move(tensors[i]);
      }
      readers.done(node);
    } else if (is_known_shape(view, shapes)) {
      checked_operator(view);
      graph.initializers[node.outputs[0]] = shape_value(view);
    } else if (copies(view) && node.outputs.size() == 1 && !outputs.contains(node.outputs[0])) {
      renamed[node.outputs[0]] = node.inputs[0];
      readers.rename(node.outputs[0], node.inputs[0]);
    } else {
      if (options.one_image) add_output_shapes(view, shapes);
      kept.push_back(std::move(node));
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
  drop_copies_to_outputs(graph);
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
    kept.push_back(std::move(*node));
  }
  graph.nodes.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  std::erase_if(graph.initializers, [&](const auto& item) { return !needed.contains(item.first); });
}

}  // namespace widthwise
