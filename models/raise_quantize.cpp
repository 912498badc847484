#include <algorithm>

#include "models/code_clip.h"
#include "models/fuse_passes.h"
#include "models/graph_editor.h"
#include "models/movement.h"

namespace widthwise {
namespace {

class Raiser {
 public:
  Raiser(Graph& graph, FuseFor fuse_for, std::set<std::string>& unsigned_values)
      : editor_(graph), fuse_for_(fuse_for), unsigned_values_(unsigned_values) {}

  void run() {
    std::vector<GraphNode> nodes = std::move(editor_.graph().nodes);
    for (GraphNode& node : nodes) {
      if (!raise(node)) editor_.keep(std::move(node));
    }
    editor_.finish();
  }

 private:
  // Keeps the node and the movement before it in exchanged order, if they can be.
  bool raise(const GraphNode& node) {
    if (!quantizes(node)) return false;
    const GraphNode* move = editor_.only_reader_of(node.inputs[0]);
    if (move == nullptr || !passes(*move)) return false;
    GraphNode moved = *move;
    editor_.take_back(node.inputs[0]);
    const size_t count = moved.op_type == "Concat" ? moved.inputs.size() : 1;
    for (size_t i = 0; i < count; ++i) {
      GraphNode raised = node;
      raised.inputs[0] = moved.inputs[i];
      moved.inputs[i] = editor_.new_value(node.outputs[0] + "_raised");
      raised.outputs = {moved.inputs[i]};
      if (i > 0) raised.name = moved.inputs[i];
      editor_.copy_format(node.outputs[0], moved.inputs[i]);
      if (is_int8(node)) unsigned_values_.insert(moved.inputs[i]);
      if (!raise(raised)) editor_.keep(std::move(raised));
    }
    moved.outputs = node.outputs;
    editor_.keep(std::move(moved));
    return true;
  }

  // Every element alike: to codes with one scale and a zero point, or a Clip of codes.
  bool quantizes(const GraphNode& node) {
    if (code_clip(editor_.graph(), node)) return true;
    return node.op_type == "QuantizeLinear" && editor_.quantization(node).has_value();
  }

  bool is_int8(const GraphNode& node) const {
    if (node.op_type != "QuantizeLinear") return unsigned_values_.contains(node.inputs[0]);
    return editor_.constant(node.inputs[2])->type() == ElementType::kInt8;
  }

  bool passes(const GraphNode& move) {
    if (move.domain != kOnnxDomain || move.inputs.empty()) return false;
    if (fuse_for_ == FuseFor::kFile) return onnx_runtime_passes(move, editor_.graph().opset);
    // Codes that are joined after they were dequantized keep their scales: QLinearConcat.
    if (move.op_type == "Concat")
      return std::any_of(move.inputs.begin(), move.inputs.end(), [&](const std::string& value) {
        return !editor_.dequantized(value).has_value();
      });
    return moves_elements(move) || is_max_pool(move);
  }

  GraphEditor editor_;
  FuseFor fuse_for_;
  std::set<std::string>& unsigned_values_;
};

}  // namespace

void raise_quantize(Graph& graph, FuseFor fuse_for, std::set<std::string>& unsigned_values) {
  Raiser(graph, fuse_for, unsigned_values).run();
}

}  // namespace widthwise
