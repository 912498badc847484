#include "models/shape_inference.h"

#include <fmt/format.h>

#include "core/error.h"
#include "models/operator.h"

namespace widthwise {
namespace {

void check_output(const Graph& graph, const Shape& found) {
  const Shape& declared = graph.output.shape;
  bool same = declared.empty() || declared.size() == found.size();
  for (size_t i = 1; same && i < declared.size(); ++i) {
    same = declared[i] == GraphValue::kSymbolic || declared[i] == found[i];
  }
  if (same) return;
  throw InputError({.file = graph.file,
                    .where = fmt::format("output '{}'", graph.output.name),
                    .field = "shape",
                    .problem = fmt::format("is declared as {}, the nodes give {}",
                                           shape_text(declared), shape_text(found)),
                    .fix = "run onnx.shape_inference on the network, or export it again"});
}

}  // namespace

ValueShapes infer_shapes(const Graph& graph) {
  ValueShapes shapes;
  Shape image = graph.input.shape;
  image[0] = 1;
  shapes[graph.input.name] = image;
  for (const GraphNode& node : graph.nodes) {
    const NodeView view(graph, node, shapes);
    const std::vector<Shape> outputs = checked_operator(view).infer_shape(view);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      if (i >= outputs.size()) {
        view.refuse(fmt::format("output {} '{}'", i, node.outputs[i]), "is not supported",
                    fmt::format("use the first {} only; export for inference", outputs.size()));
      }
      if (shape_elements(outputs[i]) <= 0) {
        view.refuse(fmt::format("output '{}'", node.outputs[i]),
                    fmt::format("has the shape {}, allowed 1..{} elements", shape_text(outputs[i]),
                                kMaxTensorElements),
                    "use a larger input or smaller windows");
      }
      if (view.has_activation() && (outputs[i].size() < 2 || outputs[i][0] != 1)) {
        view.refuse(fmt::format("output '{}'", node.outputs[i]),
                    fmt::format("has the shape {} for one image; allowed are the batch (1) and at "
                                "least one more axis",
                                shape_text(outputs[i])),
                    "keep the batch as the first axis");
      }
      shapes[node.outputs[i]] = outputs[i];
    }
  }
  check_output(graph, shapes.at(graph.output.name));
  return shapes;
}

}  // namespace widthwise
