#include "quant/onnx_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"
#include "quant/quantize.h"
#include "quant/quantized_values.h"

namespace widthwise {
namespace {

constexpr int kMinOpset = 13;  // DequantizeLinear has an axis since

class Writer {
 public:
  Writer(const Graph& folded, const QuantizedNetwork& network, QuantizedFile kind)
      : graph_(folded), network_(network), kind_(kind), model_(folded.name, folded.opset) {
    values_ = kind == QuantizedFile::kQcdq ? qcdq_values(model_) : qonnx_values(model_);
    for (const QuantizedTensor& tensor : network.tensors) tensors_[tensor.name] = &tensor;
    for (const QuantizedLayer& layer : network.layers) {
      layers_[layer.name] = &layer;
      if (rescales(layer)) {
        rescaled_[layer.ofmap] = &layer;
        continue;
      }
      const auto* workload = std::get_if<MatmulWorkload>(&layer.workload);
      if (workload != nullptr && is_product(layer, *workload)) matmuls_[layer.name] = &layer;
    }
  }

  std::string run() {
    const GraphValue& input = graph_.inputs.at(0);
    model_.add_input(input);
    GraphValue output = graph_.outputs.at(0);
    output.shape = with_batch(network_.tensor(network_.output).shape, GraphValue::kSymbolic);
    model_.add_output(output);
    if (is_quantized(input.name)) {
      renamed_[input.name] = input.name + "_quantized";
      values_->quantize(input.name, renamed_[input.name], tensors_.at(input.name)->quantization);
    }
    for (const GraphNode& node : graph_.nodes) write_layer(node);
    return model_.bytes();
  }

 private:
  static Shape with_batch(Shape shape, int64_t batch) {
    shape.insert(shape.begin(), batch);
    return shape;
  }

  bool is_quantized(const std::string& value) const {
    const auto found = tensors_.find(value);
    return found != tensors_.end() && !found->second->is_real;
  }

  // A tensor's codes at fewer bits, for some of its readers: no node of the graph.
  static bool rescales(const QuantizedLayer& layer) {
    return layer.operator_type == "Identity" && layer.ifmaps.size() == 1 &&
           std::holds_alternative<ElementwiseWorkload>(layer.workload);
  }

  // The graph's name of a tensor.
  const std::string& graph_name(int tensor) const {
    const auto found = rescaled_.find(tensor);
    return network_.tensor(found == rescaled_.end() ? tensor : found->second->ifmaps[0]).name;
  }

  std::string written_name(const std::string& name) const {
    const auto found = renamed_.find(name);
    return found != renamed_.end() ? found->second : name;
  }

  // The file's name of a tensor that is read; one that is rescaled is written before its first
  // reader.
  std::string read(int tensor) {
    const std::string& name = network_.tensor(tensor).name;
    const auto found = rescaled_.find(tensor);
    if (found != rescaled_.end() && rescaled_written_.insert(tensor).second)
      values_->quantize(written_name(graph_name(tensor)), name,
                        network_.tensor(tensor).quantization, found->second->name);
    return written_name(name);
  }

  // Average pooling and what is in float stay the operators that they are; a constant added to
  // every channel does not, because the layer adds an integer.
  static bool is_product(const QuantizedLayer& layer, const MatmulWorkload& workload) {
    const bool pool =
        layer.operator_type == "AveragePool" || layer.operator_type == "GlobalAveragePool";
    const Window& w = workload.window;
    const bool dilated = w.dilation_rows > 1 || w.dilation_cols > 1;
    if (layer.in_float) return !workload.unit_weights;
    return !workload.unit_weights || !pool || dilated;  // ONNX Runtime's integer pool has none
  }

  size_t rank(const QuantizedLayer& layer) const {  // without the batch
    return network_.tensor(layer.ifmaps[0]).shape.size();
  }

  // The node with the Relu and Clip behind it that its layer has taken in, which keeps the layers'
  // order: the values in between are no tensors of the network, and nobody else reads them.
  void write_layer(const GraphNode& first) {
    std::vector<GraphNode> chain;
    const GraphNode* node = &first;
    while (node != nullptr && written_.insert(node).second) {
      chain.push_back(*node);
      const std::string& value = node->outputs.at(0);
      node = nullptr;
      for (const GraphNode& reader : graph_.nodes) {
        if (tensors_.count(value) == 0 && reader.inputs.at(0) == value) node = &reader;
      }
    }
    if (kind_ == QuantizedFile::kQcdq && chain.size() > 1 && is_quantized(chain.back().outputs[0]))
      drop_idle_limits(chain);
    for (const GraphNode& one : chain) write_node(one);
  }

  // ONNX Runtime 1.30 refuses a QDQ file in which a Clip behind a layer limits nothing only because
  // codes are rounded, as ReLU6 can be, or which has two Relu there ("two nodes with same node
  // name"). One Relu stays; of the other limits those that codes need.
  void drop_idle_limits(std::vector<GraphNode>& chain) const {
    const std::string last = chain.back().outputs[0];
    const TensorQuantization& q = tensors_.at(last)->quantization;
    const auto limits = code_limits(chain, q);
    for (const std::string op : {"Clip", "Relu"}) {
      for (size_t i = chain.size() - 1; i > 0; --i) {
        const auto same = [&](const GraphNode& one) { return one.op_type == op; };
        if (!same(chain[i])) continue;
        if (op == "Relu" && std::count_if(chain.begin() + 1, chain.end(), same) == 1) continue;
        std::vector<GraphNode> without = chain;
        without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
        if (code_limits(without, q) == limits) chain = without;
      }
    }
    for (size_t i = 1; i < chain.size(); ++i) chain[i].inputs[0] = chain[i - 1].outputs[0];
    chain.back().outputs[0] = last;
  }

  // The least and greatest code behind all Relu and Clip after the chain's first node.
  std::pair<int32_t, int32_t> code_limits(const std::vector<GraphNode>& chain,
                                          const TensorQuantization& q) const {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    float low = -kInfinity, high = kInfinity;
    for (auto node = chain.begin() + 1; node != chain.end(); ++node) {
      const auto limit = [&](size_t i, float otherwise) {
        if (i >= node->inputs.size() || node->inputs[i].empty()) return otherwise;
        return static_cast<float>(graph_.initializers.at(node->inputs[i]).real(0));
      };
      const bool relu = node->op_type == "Relu";
      const float own_low = relu ? 0 : limit(1, -kInfinity), own_high = limit(2, kInfinity);
      low = std::clamp(low, own_low, own_high);
      high = std::clamp(high, own_low, own_high);
    }
    return {quantize_value(low, q), quantize_value(high, q)};
  }

  void write_node(const GraphNode& node) {
    std::vector<std::string> outputs = node.outputs, inputs = node.inputs;
    for (std::string& output : outputs) {
      if (is_quantized(output)) output += "_float";
    }
    const auto layer = layers_.find(node.name);
    for (std::string& input : inputs) {
      const std::string given = input;
      if (layer != layers_.end()) {
        for (const int ifmap : layer->second->ifmaps) {
          if (graph_name(ifmap) == given) input = read(ifmap);
        }
      }
      input = written_name(input);
    }
    const auto matmul = matmuls_.find(node.name);
    if (matmul != matmuls_.end()) {
      write_matmul(node.name, *matmul->second, ifmap_of(node, *matmul->second), outputs);
    } else {
      GraphNode written = node;
      if (node.op_type == "Reshape") {
        inputs.at(1) = reshaped_to(node.outputs.at(0));
        written.attributes.erase("allowzero");
      }
      for (const std::string& input : inputs) {
        const auto constant = graph_.initializers.find(input);
        if (constant != graph_.initializers.end() && copied_.insert(input).second)
          model_.add_constant(input, constant->second);
      }
      ModelBuilder::copy_attributes(written,
                                    model_.add_node(node.op_type, node.name, inputs, outputs));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (is_quantized(node.outputs[i]))
        values_->quantize(outputs[i], node.outputs[i], tensors_.at(node.outputs[i])->quantization);
    }
  }

  // A Reshape may state the batch as 1, or as the one that the network was exported with: 0 copies
  // it. Returns the constant.
  std::string reshaped_to(const std::string& output) {
    const std::string shape = output + "_shape";
    model_.add_constant(shape, Tensor::list(with_batch(tensors_.at(output)->shape, 0)));
    return shape;
  }

  // The file's name of the layer's ifmap: a constant may be the node's first input.
  std::string ifmap_of(const GraphNode& node, const QuantizedLayer& layer) {
    const std::string& name = graph_name(layer.ifmaps[0]);
    for (const std::string& input : node.inputs) {
      if (input == name) return read(layer.ifmaps[0]);
    }
    throw std::logic_error("onnx_writer: node '" + node.name + "' does not read its ifmap");
  }

  void write_matmul(const std::string& name, const QuantizedLayer& layer, const std::string& ifmap,
                    const std::vector<std::string>& outputs) {
    const auto& workload = std::get<MatmulWorkload>(layer.workload);
    const Window& w = workload.window;
    const QuantizedTensor &from = network_.tensor(layer.ifmaps[0]),
                          &to = network_.tensor(layer.ofmap);
    const float ifmap_scale = from.quantization.scale;
    const bool channels_first =
        from.shape[0] == w.ifmap_channels && to.shape[0] == w.ofmap_channels;
    if (!channels_first) {  // one row, multiplied along its last axis
      model_.add_node(
          "MatMul", name,
          {ifmap, weights(transposed(layer, workload), {w.ifmap_channels, w.ofmap_channels}, 1)},
          outputs);
      return;
    }
    if (rank(layer) == 1) {  // Gemm with the weight as it lies in the layer, [oc, K]
      const QuantizedLayer dense = workload.groups == 1 ? layer : dense_layer(layer, workload);
      auto* gemm = model_.add_node(
          "Gemm", name,
          with_bias({ifmap, weights(dense, {w.ofmap_channels, w.ifmap_channels}, 0)}, dense,
                    ifmap_scale),
          outputs);
      return ModelBuilder::set_integer(gemm, "transB", 1);
    }
    // Spatial axes: those of the window. Of more than two the layer's window slides over the last.
    const size_t axes = rank(layer) - 1;
    const auto spatial = [&](int64_t rows, int64_t cols, int64_t other) {
      if (axes == 2) return std::vector<int64_t>{rows, cols};
      std::vector<int64_t> values(axes, other);
      values.back() = cols;
      return values;
    };
    Shape shape = {w.ofmap_channels, workload.group_ifmap_channels()};
    for (const int64_t extent : spatial(w.kernel_rows, w.kernel_cols, 1)) shape.push_back(extent);
    auto* out = model_.add_node(
        "Conv", name, with_bias({ifmap, weights(layer, shape, 0)}, layer, ifmap_scale), outputs);
    ModelBuilder::set_integer(out, "group", workload.groups);
    ModelBuilder::set_integers(out, "kernel_shape", spatial(w.kernel_rows, w.kernel_cols, 1));
    ModelBuilder::set_integers(out, "strides", spatial(w.stride_rows, w.stride_cols, 1));
    ModelBuilder::set_integers(out, "dilations", spatial(w.dilation_rows, w.dilation_cols, 1));
    std::vector<int64_t> pads = spatial(w.pad_top, w.pad_left, 0);
    for (const int64_t pad : spatial(w.pad_bottom, w.pad_right, 0)) pads.push_back(pad);
    ModelBuilder::set_integers(out, "pads", pads);
  }

  // The file's name of the layer's weights: codes, or real numbers as they are.
  std::string weights(const QuantizedLayer& layer, const Shape& shape, size_t axis) {
    if (!layer.weights.empty()) return values_->weights(layer, shape, axis);
    const std::string name = layer.name + "_weight";
    model_.add_constant(name, Tensor::floats(shape, layer.in_float->weights));
    return name;
  }
  std::vector<std::string> with_bias(std::vector<std::string> inputs, const QuantizedLayer& layer,
                                     float ifmap_scale) {
    if (!layer.in_float) {
      inputs.push_back(values_->bias(layer, ifmap_scale));
    } else if (const auto& bias = layer.in_float->bias; !bias.empty()) {
      inputs.push_back(layer.name + "_bias");
      model_.add_constant(inputs.back(), Tensor::floats({std::ssize(bias)}, bias));
    }
    return inputs;
  }

  // Weights [K, oc], as a MatMul has them; it has no bias, so neither has the layer.
  static QuantizedLayer transposed(const QuantizedLayer& layer, const MatmulWorkload& workload) {
    const auto rows = static_cast<size_t>(workload.window.ofmap_channels),
               cols = static_cast<size_t>(workload.window.ifmap_channels);
    QuantizedLayer turned = layer;
    const auto turn = [&](const auto& from, auto& to) {
      for (size_t k = 0; k < cols; ++k) {
        for (size_t oc = 0; oc < rows; ++oc) to[k * rows + oc] = from[oc * cols + k];
      }
    };
    if (layer.weights.empty()) {
      turn(layer.in_float->weights, turned.in_float->weights);
    } else {
      turn(layer.weights, turned.weights);
    }
    return turned;
  }

  // A layer of groups over features as one product: weights of other groups are 0.
  static QuantizedLayer dense_layer(const QuantizedLayer& layer, const MatmulWorkload& workload) {
    const int64_t columns = workload.window.ifmap_channels, own = workload.group_ifmap_channels();
    QuantizedLayer dense = layer;
    const auto spread = [&](const auto& from, auto& to, const auto& zero) {
      to.clear();
      for (int64_t oc = 0; oc < workload.window.ofmap_channels; ++oc) {
        const int64_t first = oc / workload.group_ofmap_channels() * own;
        for (int64_t ic = 0; ic < columns; ++ic) {
          const bool inside = ic >= first && ic < first + own;
          to.push_back(inside ? from[static_cast<size_t>(oc * own + ic - first)] : zero(oc));
        }
      }
    };
    if (layer.weights.empty()) {
      spread(layer.in_float->weights, dense.in_float->weights, [](int64_t) { return 0.0F; });
    } else {
      spread(layer.weights, dense.weights, [&](int64_t oc) { return layer.weight_zero_point(oc); });
    }
    return dense;
  }

  const Graph& graph_;
  const QuantizedNetwork& network_;
  const QuantizedFile kind_;
  ModelBuilder model_;
  std::unique_ptr<QuantizedValues> values_;
  std::map<std::string, const QuantizedTensor*> tensors_;
  std::map<std::string, const QuantizedLayer*> layers_, matmuls_;
  std::map<int, const QuantizedLayer*> rescaled_;  // by the tensor that they write
  std::set<int> rescaled_written_;
  std::map<std::string, std::string> renamed_;
  std::set<const GraphNode*> written_;
  std::set<std::string> copied_;  // constants
};

}  // namespace

std::string write_quantized(const Graph& folded, const QuantizedNetwork& network,
                            QuantizedFile kind) {
  if (folded.opset < kMinOpset) {
    throw InputError(
        {.file = folded.file,
         .where = "",
         .field = "opset",
         .problem =
             fmt::format("is {}, a quantized file needs {} or more", folded.opset, kMinOpset),
         .fix = "export the network again, or convert it with onnx.version_converter"});
  }
  return Writer(folded, network, kind).run();
}

}  // namespace widthwise
