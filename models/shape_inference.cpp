#include "models/shape_inference.h"

#include <fmt/format.h>

#include "core/error.h"
#include "models/node_work.h"
#include "models/operator.h"
#include "models/ops/shape.h"

namespace widthwise {
namespace {

void check_outputs(const Graph& graph, const ValueShapes& shapes) {
  for (const GraphValue& output : graph.outputs) {
    const auto known = shapes.find(output.name);
    if (known == shapes.end()) continue;  // a constant
    const Shape &declared = output.shape, &found = known->second;
    bool same = declared.empty() || declared.size() == found.size();
    for (size_t i = 1; same && i < declared.size(); ++i) {
      same = declared[i] == GraphValue::kSymbolic || declared[i] == found[i];
    }
    if (same) continue;
    throw InputError({.file = graph.file,
                      .where = fmt::format("output '{}'", output.name),
                      .field = "shape",
                      .problem = fmt::format("is declared as {}, the nodes give {}",
                                             shape_text(declared), shape_text(found)),
                      .fix = "run onnx.shape_inference on the network, or export it again"});
  }
}

}  // namespace

ValueShapes input_shapes(const Graph& graph) {
  ValueShapes shapes;
  for (const GraphValue& input : graph.inputs) {
    Shape shape = input.shape;
    if (!shape.empty() && shape[0] == GraphValue::kSymbolic) shape[0] = 1;
    if (!input.has_shape || shape_elements(shape) < 0) {
      throw InputError(
          {.file = graph.file,
           .where = fmt::format("input '{}'", input.name),
           .field = "shape",
           .problem = fmt::format("{} is open beyond the first axis, or too large",
                                  input.has_shape ? shape_text(input.shape) : "none"),
           .fix = "export the network with fixed extents; only the batch may be open"});
    }
    shapes[input.name] = shape;
  }
  return shapes;
}

ValueShapes image_input_shapes(const Graph& graph) {
  ValueShapes shapes = input_shapes(graph);
  for (auto& [name, shape] : shapes) {
    if (!shape.empty()) shape[0] = 1;
  }
  return shapes;
}

namespace {

// Adds up what nodes take, so that sums of them fit int64.
class TotalWork {
 public:
  void add(const NodeView& view, const ValueShapes& shapes) {
    constexpr double kMost = 1e16;
    std::vector<Shape> outputs;
    for (const std::string& value : view.node().outputs) {
      if (!value.empty()) outputs.push_back(shapes.at(value));
    }
    work_ += node_work(view, outputs);
    if (work_ <= kMost) return;
    view.refuse("shapes",
                fmt::format("lead to {:.2g} multiply-accumulates up to here, allowed are {:.2g}",
                            work_, kMost),
                "use a smaller input");
  }

 private:
  double work_ = 0;
};

}  // namespace

void add_output_shapes(const NodeView& view, ValueShapes& shapes) {
  const GraphNode& node = view.node();
  const std::vector<Shape> outputs = checked_operator(view).infer_shape(view);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) continue;
    if (i >= outputs.size()) {
      view.refuse(fmt::format("output {} '{}'", i, node.outputs[i]), "is not supported",
                  fmt::format("use the first {} only; export for inference", outputs.size()));
    }
    if (shape_elements(outputs[i]) < 0) {
      view.refuse(fmt::format("output '{}'", node.outputs[i]),
                  fmt::format("has the shape {}, allowed 1..{} elements", shape_text(outputs[i]),
                              kMaxTensorElements),
                  "use a larger input or smaller windows");
    }
    shapes[node.outputs[i]] = outputs[i];
  }
}

namespace {

// Shape arithmetic: integers that depend on extents only.
bool computes_shapes(const NodeView& view) {
  constexpr int64_t kMostElements = 4096;
  if (view.input_count() == 0 || view.has_activation()) return false;
  for (size_t i = 0; i < view.input_count(); ++i) {
    const Tensor* input = view.constant(i);
    if (input != nullptr && (is_real(input->type()) || input->elements() > kMostElements))
      return false;
  }
  return view.has_input(0);
}

}  // namespace

ValueShapes infer_shapes(const Graph& graph) {
  ValueShapes shapes = input_shapes(graph);
  Graph known = graph;  // and what is computed from shapes, as initializers
  TotalWork work;
  for (const GraphNode& node : graph.nodes) {
    const NodeView view(known, node, shapes);
    if (node.op_type == "Shape" && node.domain == kOnnxDomain && view.has_input(0)) {
      checked_operator(view);
      known.initializers[node.outputs.at(0)] = shape_value(view);
    } else if (computes_shapes(view)) {
      std::vector<const Tensor*> inputs;
      for (size_t i = 0; i < view.input_count(); ++i) inputs.push_back(view.constant(i));
      const auto tensors = evaluate_node(NodeView(known, node, std::move(inputs)));
      for (size_t i = 0; i < node.outputs.size() && i < tensors.size(); ++i)
        known.initializers[node.outputs[i]] = tensors[i];
    }
    add_output_shapes(view, shapes);
    work.add(view, shapes);
  }
  check_outputs(graph, shapes);
  return shapes;
}

ValueShapes infer_image_shapes(const Graph& graph) {
  ValueShapes shapes = image_input_shapes(graph);
  TotalWork work;
  for (const GraphNode& node : graph.nodes) {
    const NodeView view(graph, node, shapes, true);
    add_output_shapes(view, shapes);
    work.add(view, shapes);
    for (const std::string& value : node.outputs) {
      if (value.empty()) continue;
      const Shape& shape = shapes.at(value);
      if (shape_elements(shape) == 0) {
        view.refuse(fmt::format("output '{}'", value),
                    fmt::format("has the shape {}, allowed 1..{} elements", shape_text(shape),
                                kMaxTensorElements),
                    "use a larger input or smaller windows");
      }
      if (view.has_activation() && (shape.size() < 2 || shape[0] != 1)) {
        view.refuse(fmt::format("output '{}'", value),
                    fmt::format("has the shape {} for one image; allowed are the batch (1) and at "
                                "least one more axis",
                                shape_text(shape)),
                    "keep the batch as the first axis");
      }
    }
  }
  check_outputs(graph, shapes);
  return shapes;
}

}  // namespace widthwise
