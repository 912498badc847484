#include "quant/quantized_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "core/error.h"
#include "models/code_clip.h"
#include "models/movement.h"
#include "models/node_work.h"
#include "models/operator.h"
#include "models/quantized_operands.h"
#include "models/shape_inference.h"
#include "models/sliding_window.h"
#include "quant/quantize.h"

namespace widthwise {
namespace {

Shape without_batch(const Shape& shape) {
  return shape.empty() ? shape : Shape(shape.begin() + 1, shape.end());
}

class Importer {
 public:
  explicit Importer(const Graph& graph) : graph_(graph), readers_(reader_counts(graph)) {
    for (const GraphNode& node : graph.nodes) names_.insert(node.name);
  }

  QuantizedNetwork run() {
    check_ends();
    shapes_ = infer_shapes(graph_);
    network_.name = graph_.name;
    for (const GraphNode& node : graph_.nodes) import_node(node);
    const std::string& output = graph_.outputs[0].name;
    const auto dequantized = dequantized_.find(output);
    const std::string& codes = dequantized != dequantized_.end() ? dequantized->second : output;
    const auto found = tensors_.find(codes);
    if (found == tensors_.end()) {
      refuse(fmt::format("output '{}'", output), "", "is not made of codes",
             "end the network with a quantized layer");
    }
    network_.output = found->second;
    return std::move(network_);
  }

 private:
  [[noreturn]] void refuse(std::string where, std::string field, std::string problem,
                           std::string fix) const {
    throw InputError({.file = graph_.file,
                      .where = std::move(where),
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  }

  void check_ends() const {
    if (graph_.inputs.size() != 1 || graph_.outputs.size() != 1) {
      refuse("graph", "inputs, outputs",
             fmt::format("are {} and {}, allowed one each", graph_.inputs.size(),
                         graph_.outputs.size()),
             "keep the input and the output that count");
    }
    const GraphValue& input = graph_.inputs[0];
    if (input.shape.size() < 2 || (input.shape[0] != GraphValue::kSymbolic && input.shape[0] != 1))
      refuse(fmt::format("input '{}'", input.name), "shape",
             fmt::format("is {}, allowed is a batch of 1 or an open one", shape_text(input.shape)),
             "export the network with an open batch");
  }

  NodeView view(const GraphNode& node) const { return {graph_, node, shapes_}; }

  const Tensor* constant(const std::string& value) const {
    const auto found = graph_.initializers.find(value);
    return found == graph_.initializers.end() ? nullptr : &found->second;
  }

  // Scale and zero point from inputs i and i + 1 of a node, one each, and the format of `codes`.
  TensorQuantization quantization(const GraphNode& node, size_t i, const std::string& codes) const {
    const NodeView v = view(node);
    const Tensor& scale = v.float_constant(i, "scale");
    const Tensor* zero_point = v.constant(i + 1);
    if (scale.elements() != 1 || (zero_point != nullptr && zero_point->elements() != 1))
      v.refuse("scale", "differs by channel, which weights only may", "quantize per tensor");
    TensorQuantization q;
    q.scale = scale.values<float>()[0];
    if (!std::isnormal(q.scale) || q.scale < 0)
      v.refuse("scale", fmt::format("is {}, allowed are normal positive numbers", q.scale),
               "calibrate the network again");
    const auto type =
        zero_point == nullptr ? IntegerFormat{8, false} : integer_format(zero_point->type());
    if (!type || type->bits > 16)
      v.refuse("zero point",
               fmt::format("is of type {}, allowed are integers of up to 16 bits",
                           element_type_name(zero_point->type())),
               "quantize to such codes");
    q.format = *type;
    if (zero_point != nullptr) q.zero_point = static_cast<int32_t>(zero_point->integer(0));
    if (const auto stated = graph_.formats.find(codes); stated != graph_.formats.end())
      q.format = stated->second;
    if (!q.format.holds(q.zero_point))
      v.refuse("zero point",
               fmt::format("is {}, allowed {}..{}", q.zero_point, q.format.min(), q.format.max()),
               "calibrate the network again");
    return q;
  }

  int add_tensor(const std::string& value, const TensorQuantization& q) {
    const int index = static_cast<int>(network_.tensors.size());
    network_.tensors.push_back({value, without_batch(shapes_.at(value)), q});
    tensors_[value] = index;
    return index;
  }

  // The tensor of an input of codes; its quantization, if it is an input of the network.
  int tensor(const GraphNode& node, const std::string& value, const TensorQuantization& q) {
    if (const auto found = tensors_.find(value); found != tensors_.end()) {
      const TensorQuantization& known = network_.tensor(found->second).quantization;
      if (known.scale != q.scale || known.zero_point != q.zero_point) {
        view(node).refuse(
            fmt::format("input '{}'", value),
            fmt::format("is read with scale {} and zero point {}, and was written with {} and {}",
                        q.scale, q.zero_point, known.scale, known.zero_point),
            "export the network again");
      }
      return found->second;
    }
    if (graph_.is_input(value)) {
      network_.input = add_tensor(value, q);
      return network_.input;
    }
    view(node).refuse(fmt::format("input '{}'", value), "is not made of codes",
                      "quantize the operator that writes it");
  }

  QuantizedLayer layer(const GraphNode& node, const std::string& op) const {
    QuantizedLayer out;
    out.name = node.name;
    out.operator_type = op;
    return out;
  }

  int32_t limit(const GraphNode& node, const char* name, int64_t otherwise,
                const TensorQuantization& q) const {
    const int64_t code = view(node).integer(name, otherwise);
    return static_cast<int32_t>(std::clamp(code, q.format.min(), q.format.max()));
  }

  void add_layer(const GraphNode& node, QuantizedLayer out, const TensorQuantization& ofmap) {
    out.q_min = limit(node, "q_min", ofmap.format.min(), ofmap);
    out.q_max = limit(node, "q_max", ofmap.format.max(), ofmap);
    out.ofmap = add_tensor(node.outputs.at(0), ofmap);
    network_.layers.push_back(std::move(out));
  }

  void import_node(const GraphNode& node) {
    const std::string& op = node.op_type;
    if (node.outputs[0].empty() && !moves_elements(node))
      view(node).refuse("output 0", "is missing", "remove the node, or name its output");
    if (op == "QuantizeLinear") return import_quantize(node);
    if (op == "DequantizeLinear") {
      const TensorQuantization q = quantization(node, 1, node.inputs[0]);
      tensor(node, node.inputs[0], q);
      dequantized_[node.outputs[0]] = node.inputs[0];
      return;
    }
    if (const auto clip = code_clip(graph_, node)) return import_code_clip(node, *clip);
    if (op == "Requantize") return import_requantize(node);
    if (op == "QLinearConv") return import_product(node, "Conv", 6);
    if (op == "QLinearMatMul") return import_product(node, "Gemm", 6);
    if (op == "QGemm") return import_product(node, "Gemm", 7);
    if (op == "QLinearAveragePool") return import_product(node, "AveragePool", 3);
    if (op == "QLinearGlobalAveragePool") return import_product(node, "GlobalAveragePool", 3);
    if (op == "QLinearAdd") return import_add(node);
    if (op == "QLinearConcat") return import_concat(node);
    if (is_max_pool(node)) return import_max_pool(node);
    if (moves_elements(node)) return import_move(node);
    view(node).refuse("operator", "has no layer in a quantized network: it only runs",
                      "quantize it, or end the network before it");
  }

  void import_quantize(const GraphNode& node) {
    const TensorQuantization q = quantization(node, 1, node.outputs[0]);
    const std::string& value = node.inputs[0];
    if (graph_.is_input(value)) {
      if (network_.input >= 0)
        view(node).refuse(fmt::format("input '{}'", value), "is quantized twice",
                          "quantize the network's input once");
      network_.input = add_tensor(node.outputs[0], q);
      return;
    }
    view(node).refuse(fmt::format("input '{}'", value), "is not made of codes",
                      "quantize the operator that writes it");
  }

  // Of each code by itself.
  QuantizedLayer clamp_layer(const GraphNode& node, const std::string& op, int ifmap) const {
    QuantizedLayer out = layer(node, op);
    out.workload = ElementwiseWorkload{ElementwiseWorkload::Kind::kClamp,
                                       shape_elements(without_batch(shapes_.at(node.inputs[0])))};
    out.ifmaps = {ifmap};
    return out;
  }

  void import_requantize(const GraphNode& node) {
    const NodeView v = view(node);
    const std::string& codes = node.inputs[0];
    const TensorQuantization q = quantization(node, 3, node.outputs[0]);
    const int ifmap = tensor(node, codes, quantization(node, 1, codes));
    const std::string op = v.text("operator", node.op_type);
    if (op == "Identity" && requantize_concat(codes, node, q)) return;
    add_layer(node, clamp_layer(node, op, ifmap), q);
  }

  // Tensors of one quantization that are joined and quantized again: the layer that joins them
  // rescales them.
  bool requantize_concat(const std::string& codes, const GraphNode& node,
                         const TensorQuantization& q) {
    const int index = tensors_.at(codes);
    const auto writer = std::find_if(network_.layers.begin(), network_.layers.end(),
                                     [&](const QuantizedLayer& one) { return one.ofmap == index; });
    if (writer == network_.layers.end() || writer->ifmaps.size() < 2 ||
        !std::holds_alternative<MoveWorkload>(writer->workload) || readers_.at(codes) != 1)
      return false;
    QuantizedTensor& tensor = network_.tensors[static_cast<size_t>(index)];
    tensor.quantization = q;
    tensor.name = node.outputs[0];
    tensors_[tensor.name] = index;
    writer->q_min = limit(node, "q_min", q.format.min(), q);
    writer->q_max = limit(node, "q_max", q.format.max(), q);
    return true;
  }

  // Codes of the network's input, or of a layer, have fewer bits than their type; or, where others
  // read them as they are, a layer of its own clamps them.
  void import_code_clip(const GraphNode& node, const CodeClip& clip) {
    const auto found = tensors_.find(node.inputs[0]);
    if (found == tensors_.end())
      view(node).refuse(fmt::format("input '{}'", node.inputs[0]), "is not made of codes",
                        "quantize it first");
    const auto low = static_cast<int32_t>(clip.low), high = static_cast<int32_t>(clip.high);
    if (readers_.at(node.inputs[0]) != 1) {
      QuantizedLayer out = clamp_layer(node, "Identity", found->second);
      out.q_min = low;
      out.q_max = high;
      TensorQuantization q = network_.tensor(found->second).quantization;
      q.format = clip.format;
      out.ofmap = add_tensor(node.outputs[0], q);
      network_.layers.push_back(std::move(out));
      return;
    }
    QuantizedTensor& tensor = network_.tensors[static_cast<size_t>(found->second)];
    tensor.quantization.format = clip.format;
    tensor.name = node.outputs[0];
    tensors_[node.outputs[0]] = found->second;
    for (QuantizedLayer& layer : network_.layers) {
      if (layer.ofmap != found->second) continue;
      layer.q_min = std::clamp(layer.q_min, low, high);
      layer.q_max = std::clamp(layer.q_max, low, high);
    }
  }

  // Convolution, product, average pool; the output's scale is input `output_scale`.
  void import_product(const GraphNode& node, const std::string& op, size_t output_scale) {
    const NodeView v = view(node);
    if (!v.has_input(output_scale))
      v.refuse("output", "is not quantized", "end the network with a quantized layer");
    const TensorQuantization ifmap = quantization(node, 1, node.inputs[0]);
    const int index = tensor(node, node.inputs[0], ifmap);
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (v.has_input(i)) v.tensor(i, "of a layer");
    }
    const auto matmuls = static_matmuls(v);
    if (matmuls.size() != 1 || matmuls[0].images != 1)
      v.refuse("shapes", "make several products of one image", "write them as one product");
    const IntegerMatmul& matmul = matmuls[0];
    if (!matmul.workload.unit_weights &&
        std::ssize(matmul.weights) != matmul.workload.weight_elements())
      v.refuse("weight", "is not constant, which it must be in a layer",
               "run the network as it is instead");
    QuantizedLayer out = layer(node, op);
    out.workload = matmul.workload;
    out.ifmaps = {index};
    out.weights = matmul.weights;
    out.bias = matmul.bias;
    out.bias.resize(static_cast<size_t>(matmul.workload.window.ofmap_channels), 0);
    if (matmul.workload.unit_weights) {
      const Window& w = matmul.workload.window;
      out.weight_format = {1, false};
      out.weight_scales = {1.0F / static_cast<float>(w.kernel_rows * w.kernel_cols)};
    } else {
      out.weight_format = matmul.weight_format;
      if (const auto stated = graph_.formats.find(node.inputs[3]); stated != graph_.formats.end())
        out.weight_format = stated->second;
      const Tensor& scales = v.float_constant(4, "weight scale");
      const auto values = scales.values<float>();
      out.weight_scales.assign(values.begin(), values.end());
      const auto alpha = v.real("alpha", 1);
      for (float& scale : out.weight_scales) {
        scale *= alpha;
        if (!std::isnormal(scale) || scale < 0)
          v.refuse("weight scale", fmt::format("is {}, allowed are normal positive numbers", scale),
                   "calibrate the network again");
      }
      const int64_t channels = matmul.workload.window.ofmap_channels;
      for (const int64_t count :
           {std::ssize(out.weight_scales), std::ssize(matmul.weight_zero_points)}) {
        if (count > 1 && count != channels)
          v.refuse("weight scale, weight zero point",
                   fmt::format("have {} values, allowed 1 or {}", count, channels),
                   "give one per output channel");
      }
      if (out.weight_scales.empty())
        v.refuse("weight scale", "has no value", "give one per output channel");
      set_weight_zero_points(out, matmul.weight_zero_points);
      adds_only(out);
    }
    add_layer(node, std::move(out), quantization(node, output_scale, node.outputs[0]));
  }

  // As many as there are scales, or none.
  static void set_weight_zero_points(QuantizedLayer& layer, std::vector<int32_t> zero_points) {
    const auto all = [&](int32_t wanted) {
      return std::all_of(zero_points.begin(), zero_points.end(),
                         [wanted](int32_t z) { return z == wanted; });
    };
    if (all(0)) return;
    if (all(zero_points[0])) {
      zero_points.resize(layer.weight_scales.size(), zero_points[0]);
    } else {
      layer.weight_scales.resize(zero_points.size(), layer.weight_scales[0]);
    }
    layer.weight_zero_points = std::move(zero_points);
  }

  // One-bit weights of 1 that keep the channels apart are additions: a constant per channel is
  // written so.
  static void adds_only(QuantizedLayer& layer) {
    auto& workload = std::get<MatmulWorkload>(layer.workload);
    const Window& w = workload.window;
    workload.unit_weights =
        layer.weight_format == IntegerFormat{1, false} && layer.weight_zero_points.empty() &&
        layer.weight_scales.size() == 1 && workload.groups == w.ifmap_channels &&
        w.ofmap_channels == w.ifmap_channels &&
        std::all_of(layer.weights.begin(), layer.weights.end(), [](int32_t c) { return c == 1; });
  }

  void import_add(const GraphNode& node) {
    QuantizedLayer out = layer(node, "Add");
    out.workload = ElementwiseWorkload{ElementwiseWorkload::Kind::kAdd,
                                       shape_elements(shapes_.at(node.outputs[0]))};
    for (const size_t i : {size_t{0}, size_t{3}}) {
      const std::string& value = node.inputs.at(i);
      out.ifmaps.push_back(tensor(node, value, quantization(node, i + 1, value)));
      if (shapes_.at(value) != shapes_.at(node.outputs[0]))
        view(node).refuse("shapes", "broadcast, which layers do not", "bring both to one shape");
    }
    add_layer(node, std::move(out), quantization(node, 6, node.outputs[0]));
  }

  void import_concat(const GraphNode& node) {
    QuantizedLayer out = layer(node, "Concat");
    GraphNode concat = node;
    concat.op_type = "Concat";
    concat.domain = kOnnxDomain;
    concat.inputs.clear();
    for (size_t i = 2; i < node.inputs.size(); i += 3) {
      out.ifmaps.push_back(tensor(node, node.inputs[i], quantization(node, i + 1, node.inputs[i])));
      concat.inputs.push_back(node.inputs[i]);
    }
    concat.attributes.erase("q_min");
    concat.attributes.erase("q_max");
    out.workload = move_of(concat, concat.inputs.size());
    add_layer(node, std::move(out), quantization(node, 0, node.outputs[0]));
  }

  void import_max_pool(const GraphNode& node) {
    const int index = known_codes(node, node.inputs[0]);
    const NodeView v = view(node);
    const Shape& ifmap = v.shape(0);
    const std::vector<int64_t> kernel = node.op_type == "MaxPool"
                                            ? v.integers("kernel_shape", {})
                                            : std::vector<int64_t>(ifmap.begin() + 2, ifmap.end());
    QuantizedLayer out = layer(node, node.op_type);
    const Window window = workload_window(v, read_sliding_window(v, kernel), ifmap[1]);
    require_taps_inside(v, window);
    out.workload = MaxPoolWorkload{window};
    out.ifmaps = {index};
    add_layer(node, std::move(out), network_.tensor(index).quantization);
  }

  int known_codes(const GraphNode& node, const std::string& value) {
    const auto found = tensors_.find(value);
    if (found == tensors_.end())
      view(node).refuse(fmt::format("input '{}'", value), "is not made of codes",
                        "quantize the operator that writes it");
    return found->second;
  }

  void import_move(const GraphNode& node) {
    const size_t moved = node.op_type == "Concat" ? node.inputs.size() : 1;
    QuantizedLayer out = layer(node, node.op_type);
    for (size_t i = 0; i < moved; ++i) out.ifmaps.push_back(known_codes(node, node.inputs[i]));
    const TensorQuantization q = joined_quantization(node, out.ifmaps);
    bool named_so = false;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!readers_.contains(node.outputs[i])) continue;
      QuantizedLayer one = out;
      if (std::exchange(named_so, true)) one.name = unique_name(node.name);
      one.workload = move_of(node, moved, i);
      GraphNode named = node;
      named.outputs = {node.outputs[i]};
      add_layer(named, std::move(one), q);
    }
  }

  // Of codes that are joined as they are: one scale and zero point, the format of the widest.
  TensorQuantization joined_quantization(const GraphNode& node, const std::vector<int>& ifmaps) {
    TensorQuantization q = network_.tensor(ifmaps[0]).quantization;
    for (const int ifmap : ifmaps) {
      const TensorQuantization& other = network_.tensor(ifmap).quantization;
      if (other.scale != q.scale || other.zero_point != q.zero_point)
        view(node).refuse("inputs", "are codes of several scales or zero points",
                          "requantize them to one, or use QLinearConcat");
      q.format = joined_format(q.format, other.format);
    }
    return q;
  }

  std::string unique_name(const std::string& wanted) {
    std::string name;
    for (int i = 1; name.empty() || !names_.insert(name).second; ++i)
      name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  // Where every element of an output comes from: the node moves the indices themselves.
  MoveWorkload move_of(const GraphNode& node, size_t moved, size_t output = 0) {
    const NodeView v = view(node);
    MoveWorkload move;
    std::vector<Tensor> indices;
    int64_t first = 0;
    for (size_t i = 0; i < moved; ++i) moved_ += real_elements(v.shape(i));
    moved_ += real_elements(shapes_.at(node.outputs[output]));
    constexpr double kMost = 1 << 26;
    if (moved_ > kMost)
      v.refuse("output",
               fmt::format("brings the elements that are moved per image to {:.0f}, allowed {:.0f} "
                           "in all",
                           moved_, kMost),
               "use a smaller input");
    for (size_t i = 0; i < moved; ++i) {
      const Shape& shape = v.shape(i);
      std::vector<int64_t> own(static_cast<size_t>(shape_elements(shape)));
      std::iota(own.begin(), own.end(), first);
      first += std::ssize(own);
      move.input_elements.push_back(std::ssize(own));
      indices.emplace_back(ElementType::kInt64, shape, own);
    }
    std::vector<const Tensor*> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      inputs.push_back(i < moved ? &indices[i] : v.constant(i));
      if (i >= moved && inputs.back() == nullptr && v.has_input(i))
        v.refuse(fmt::format("input {}", i), "must be constant", "export with fixed shapes");
    }
    move.source = evaluate_node(NodeView(graph_, node, inputs)).at(output).integers();
    return move;
  }

  const Graph& graph_;
  std::map<std::string, int> readers_;
  std::set<std::string> names_;  // of nodes and layers
  ValueShapes shapes_;
  QuantizedNetwork network_;
  double moved_ = 0;                                // elements, in and out
  std::map<std::string, int> tensors_;              // value of codes -> tensor
  std::map<std::string, std::string> dequantized_;  // real value -> value of its codes
};

}  // namespace

QuantizedNetwork import_quantized(const Graph& fused) { return Importer(fused).run(); }

bool is_quantized(const Graph& fused) {
  const ValueShapes none;
  return std::any_of(fused.nodes.begin(), fused.nodes.end(), [&](const GraphNode& node) {
    const Operator& op = checked_operator(NodeView(fused, node, none));
    return op.mac != nullptr || op.requantize != nullptr;
  });
}

}  // namespace widthwise
