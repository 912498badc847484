#include <algorithm>
#include <optional>

#include "models/fuse_passes.h"
#include "models/graph_editor.h"
#include "models/movement.h"
#include "models/operator.h"

namespace widthwise {
namespace {

// One scale and one zero point, which says the type of the codes, and the same ones.
bool same_parameters(const Dequantized& d, const Tensor* scale, const Tensor* zero_point) {
  return d.per_tensor() && d.zero_point_tensor != nullptr && scale != nullptr &&
         zero_point != nullptr && scale->bytes() == d.scale_tensor->bytes() &&
         zero_point->type() == d.zero_point_tensor->type() &&
         zero_point->bytes() == d.zero_point_tensor->bytes();
}

GraphNode dequantize_node(const std::string& codes, const Dequantized& d,
                          const std::string& output) {
  GraphNode dequantize;
  dequantize.name = output + "_DequantizeLinear";
  dequantize.op_type = "DequantizeLinear";
  dequantize.inputs = {codes, d.scale, d.zero_point};
  dequantize.outputs = {output};
  if (!d.per_tensor()) dequantize.attributes["axis"] = d.axis;
  return dequantize;
}

class Sinker {
 public:
  Sinker(Graph& graph, std::set<std::string>& unsigned_values)
      : editor_(graph), unsigned_values_(unsigned_values) {
    for (const GraphNode& node : graph.nodes) {
      for (const std::string& value : node.inputs) readers_[value].push_back(node.op_type);
    }
  }

  std::set<std::string> run() {
    std::vector<GraphNode> nodes = std::move(editor_.graph().nodes);
    for (GraphNode& node : nodes) {
      editor_.apply_replacements(node);
      if (!sink(node) && !cancel(node)) editor_.keep(std::move(node));
    }
    editor_.finish();
    return std::move(real_values_);
  }

 private:
  bool sink(const GraphNode& node) {
    if (node.inputs.empty()) return false;
    if (node.domain == kOnnxDomain && node.op_type == "Concat") return sink_concat(node);
    const auto d = editor_.dequantized(node.inputs[0]);
    if (!d) return false;
    if (node.domain == kOnnxDomain && node.op_type == "Pad") return sink_pad(node, *d);
    if (!moves_elements(node) && !is_max_pool(node)) return false;
    if (node.op_type == "MaxPool" && node.outputs.size() > 1) return false;
    Dequantized moved = *d;
    if (!d->per_tensor()) {
      if (node.op_type != "Transpose") return false;
      const auto perm = node.attributes.find("perm");
      const auto* axes = perm == node.attributes.end()
                             ? nullptr
                             : std::get_if<std::vector<int64_t>>(&perm->second);
      const int64_t rank = axes != nullptr ? std::ssize(*axes) : 2;
      const int64_t axis = d->axis < 0 ? d->axis + rank : d->axis;
      if (axes == nullptr) {
        const Tensor* constant = editor_.constant(d->codes);
        if (constant == nullptr || constant->rank() != 2) return false;
        moved.axis = 1 - axis;
      } else {
        moved.axis = std::find(axes->begin(), axes->end(), axis) - axes->begin();
      }
    }
    GraphNode move = node;
    move.inputs[0] = d->codes;
    keep_moved(node, std::move(move), moved);
    return true;
  }

  bool sink_pad(const GraphNode& node, const Dequantized& d) {
    if (!d.per_tensor() || editor_.graph().opset < 11 || d.zero_point_tensor == nullptr ||
        d.zero_point_tensor->elements() != 1)
      return false;
    GraphNode move = node;
    move.inputs[0] = d.codes;
    if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
      const Tensor* value = editor_.constant(node.inputs[2]);
      if (value == nullptr || value->elements() != 1 || value->real(0) != 0) return false;
    }
    move.inputs.resize(std::max<size_t>(move.inputs.size(), 3));
    move.inputs[2] =
        editor_.add_constant(node.name + "_pad_code", d.zero_point_tensor->reshaped({}));
    keep_moved(node, std::move(move), d);
    return true;
  }

  bool sink_concat(const GraphNode& node) {
    std::optional<Dequantized> first;
    GraphNode move = node;
    for (std::string& value : move.inputs) {
      const auto d = editor_.dequantized(value);
      if (!first) first = d;
      if (!d || !same_parameters(*d, first->scale_tensor, first->zero_point_tensor)) return false;
      value = d->codes;
    }
    if (!first) return false;
    const auto format = widest(move.inputs);
    keep_moved(node, std::move(move), *first, format);
    return true;
  }

  // That holds the codes of all these values; nothing if one may have any of its type.
  std::optional<IntegerFormat> widest(const std::vector<std::string>& codes) {
    std::optional<IntegerFormat> all;
    for (const std::string& value : codes) {
      const auto found = editor_.graph().formats.find(value);
      if (found == editor_.graph().formats.end()) return std::nullopt;
      all = all ? joined_format(*all, found->second) : found->second;
    }
    return all;
  }

  void keep_moved(const GraphNode& node, GraphNode move, const Dequantized& d) {
    keep_moved(node, std::move(move), d, widest({d.codes}));
  }

  void keep_moved(const GraphNode& node, GraphNode move, const Dequantized& d,
                  const std::optional<IntegerFormat>& format) {
    for (std::string& output : move.outputs) {
      if (output.empty()) continue;
      output = editor_.new_value(output + "_codes");
      if (format) editor_.graph().formats[output] = *format;
    }
    const std::vector<std::string> codes = move.outputs;
    if (!evaluated(move)) editor_.keep(std::move(move));
    for (size_t i = 0; i < codes.size(); ++i) {
      if (codes[i].empty()) continue;
      editor_.keep(dequantize_node(codes[i], d, node.outputs[i]));
      const bool passes = onnx_runtime_passes(node, editor_.graph().opset);
      if ((!passes && !pads_convolution(node)) || real_values_.contains(node.inputs[0])) {
        real_values_.insert(node.outputs[i]);
      } else if (unsigned_values_.contains(node.inputs[0]) &&
                 (readers_[node.outputs[i]].size() == 1 || editor_.is_output(node.outputs[i]))) {
        unsigned_values_.insert({codes[i], node.outputs[i]});
      }
    }
  }

  // ONNX Runtime makes zeros around an ifmap the pads of its Conv.
  bool pads_convolution(const GraphNode& node) {
    const std::vector<std::string>& readers = readers_[node.outputs[0]];
    return node.op_type == "Pad" && readers.size() == 1 && readers[0] == "Conv";
  }

  // Weights that are moved stay constants.
  bool evaluated(const GraphNode& move) {
    std::vector<const Tensor*> inputs;
    for (const std::string& value : move.inputs) {
      inputs.push_back(value.empty() ? nullptr : editor_.constant(value));
      if (!value.empty() && inputs.back() == nullptr) return false;
    }
    const auto tensors = evaluate_node(NodeView(editor_.graph(), move, std::move(inputs)));
    for (size_t i = 0; i < move.outputs.size(); ++i) {
      if (!move.outputs[i].empty()) editor_.graph().initializers[move.outputs[i]] = tensors.at(i);
    }
    return true;
  }

  bool cancel(const GraphNode& node) {
    if (node.domain != kOnnxDomain || node.op_type != "QuantizeLinear" || node.inputs.size() < 3)
      return false;
    const auto d = editor_.dequantized(node.inputs[0]);
    if (!d ||
        !same_parameters(*d, editor_.constant(node.inputs[1]), editor_.constant(node.inputs[2])))
      return false;
    if (editor_.is_output(node.outputs[0])) {
      GraphNode copy;
      copy.name = node.name;
      copy.op_type = "Identity";
      copy.inputs = {d->codes};
      copy.outputs = node.outputs;
      editor_.copy_format(d->codes, node.outputs[0]);
      editor_.keep(std::move(copy));
    } else {
      editor_.replace(node.outputs[0], d->codes);
    }
    return true;
  }

  GraphEditor editor_;
  std::set<std::string>& unsigned_values_;
  std::set<std::string> real_values_;
  std::map<std::string, std::vector<std::string>> readers_;  // operators, as the graph was
};

}  // namespace

std::set<std::string> sink_dequantize(Graph& graph, std::set<std::string>& unsigned_values) {
  return Sinker(graph, unsigned_values).run();
}

}  // namespace widthwise
