#include "quant/qcdq_writer.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <type_traits>

#include "core/error.h"
#include "models/onnx_tensor.h"

namespace widthwise {
namespace {

// DequantizeLinear has an axis since opset 13; the IR version that came with an opset.
constexpr int kMinOpset = 13;
int ir_version(int opset) { return opset <= 18 ? 8 : opset <= 20 ? 9 : 10; }

onnx::TensorProto_DataType code_type(IntegerFormat format) {
  return format.is_signed ? onnx::TensorProto_DataType_INT8 : onnx::TensorProto_DataType_UINT8;
}

class Writer {
 public:
  Writer(const Graph& folded, const QuantizedNetwork& network) : graph_(folded), network_(network) {
    for (size_t i = 0; i < network.tensors.size(); ++i)
      tensors_[network.tensors[i].name] = &network.tensors[i];
    for (const QuantizedLayer& layer : network.layers) {
      const auto* workload = std::get_if<MatmulWorkload>(&layer.workload);
      if (workload != nullptr && !workload->unit_weights) matmuls_[layer.name] = &layer;
    }
  }

  std::string run() {
    if (graph_.opset < kMinOpset) {
      throw InputError(
          {.file = graph_.file,
           .where = "",
           .field = "opset",
           .problem = fmt::format("is {}, a QCDQ file needs {} or more", graph_.opset, kMinOpset),
           .fix = "export the network again, or convert it with onnx.version_converter"});
    }
    model_.set_ir_version(ir_version(graph_.opset));
    model_.set_producer_name("widthwise");
    auto* opset = model_.add_opset_import();
    opset->set_domain("");
    opset->set_version(graph_.opset);
    out_ = model_.mutable_graph();
    out_->set_name(graph_.name);
    declare(out_->add_input(), graph_.inputs[0]);
    declare(out_->add_output(), graph_.outputs[0]);
    renamed_[graph_.inputs[0].name] = graph_.inputs[0].name + "_quantized";
    quantize_value(graph_.inputs[0].name, renamed_[graph_.inputs[0].name],
                   *tensors_.at(graph_.inputs[0].name));
    for (const GraphNode& node : graph_.nodes) write_node(node);
    std::string bytes;
    model_.SerializeToString(&bytes);
    return bytes;
  }

 private:
  static void declare(onnx::ValueInfoProto* to, const GraphValue& value) {
    to->set_name(value.name);
    auto* type = to->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto_DataType_FLOAT);
    for (size_t i = 0; i < value.shape.size(); ++i) {
      auto* extent = type->mutable_shape()->add_dim();
      if (i == 0 || value.shape[i] == GraphValue::kSymbolic) {
        extent->set_dim_param(i == 0 ? "N" : fmt::format("d{}", i));
      } else {
        extent->set_dim_value(value.shape[i]);
      }
    }
  }

  onnx::NodeProto* add_node(const std::string& op, const std::string& name,
                            const std::vector<std::string>& inputs,
                            const std::vector<std::string>& outputs) {
    auto* node = out_->add_node();
    node->set_op_type(op);
    node->set_name(name);
    for (const auto& input : inputs) node->add_input(input);
    for (const auto& output : outputs) node->add_output(output);
    return node;
  }

  onnx::TensorProto* add_initializer(const std::string& name, onnx::TensorProto_DataType type,
                                     const std::vector<int64_t>& shape) {
    auto* tensor = out_->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(type);
    for (const int64_t extent : shape) tensor->add_dims(extent);
    return tensor;
  }

  // 8-bit codes, and where they stand for fewer bits a Clip that says so. Returns the clipped
  // value.
  std::string clip(const std::string& value, IntegerFormat format) {
    if (format.bits > 8) {
      throw InputError({.file = "",
                        .where = "tensor '" + value + "'",
                        .field = "bits",
                        .problem = fmt::format("are {}, a QCDQ file holds 2..8", format.bits),
                        .fix = "quantize to 8 bits or fewer"});
    }
    if (format.bits == 8) return value;
    const std::string low = value + "_min", high = value + "_max", clipped = value + "_clipped";
    add_initializer(low, code_type(format), {})->add_int32_data(static_cast<int32_t>(format.min()));
    add_initializer(high, code_type(format), {})
        ->add_int32_data(static_cast<int32_t>(format.max()));
    add_node("Clip", value + "_Clip", {value, low, high}, {clipped});
    return clipped;
  }

  void quantize_value(const std::string& from, const std::string& to,
                      const QuantizedTensor& tensor) {
    const TensorQuantization& q = tensor.quantization;
    const std::string scale = to + "_scale", zero_point = to + "_zero_point", codes = to + "_codes";
    add_initializer(scale, onnx::TensorProto_DataType_FLOAT, {})->add_float_data(q.scale);
    add_initializer(zero_point, code_type(q.format), {})->add_int32_data(q.zero_point);
    add_node("QuantizeLinear", to + "_QuantizeLinear", {from, scale, zero_point}, {codes});
    add_node("DequantizeLinear", to + "_DequantizeLinear",
             {clip(codes, q.format), scale, zero_point}, {to});
  }

  // Codes of the layer's weights as they lie in the layer, and their DequantizeLinear.
  std::string add_weights(const QuantizedLayer& layer, const std::vector<int64_t>& shape) {
    const std::string codes = layer.name + "_weight_codes", scale = layer.name + "_weight_scale",
                      value = layer.name + "_weight";
    auto* tensor = add_initializer(codes, code_type(layer.weight_format), shape);
    for (const int32_t code : layer.weights) tensor->add_int32_data(code);
    const bool per_channel = layer.weight_scales.size() > 1;
    const auto& zero_points_of = layer.weight_zero_points;
    if (std::adjacent_find(zero_points_of.begin(), zero_points_of.end(), std::not_equal_to<>()) !=
        zero_points_of.end()) {
      throw InputError({.file = "",
                        .where = "layer '" + layer.name + "'",
                        .field = "weight",
                        .problem = "has zero points that differ by channel, which ONNX Runtime "
                                   "refuses in a convolution",
                        .fix = "quantize asymmetric weights per tensor (--per-tensor), or make "
                               "them signed and symmetric"});
    }
    std::vector<int64_t> extent;
    if (per_channel) extent.push_back(static_cast<int64_t>(layer.weight_scales.size()));
    auto* scales = add_initializer(scale, onnx::TensorProto_DataType_FLOAT, extent);
    for (const float s : layer.weight_scales) scales->add_float_data(s);
    auto* zero_points =
        add_initializer(layer.name + "_weight_zero_point", code_type(layer.weight_format), extent);
    for (size_t i = 0; i < layer.weight_scales.size(); ++i)
      zero_points->add_int32_data(layer.weight_zero_point(static_cast<int64_t>(i)));
    auto* node = add_node(
        "DequantizeLinear", value + "_DequantizeLinear",
        {clip(codes, layer.weight_format), scale, layer.name + "_weight_zero_point"}, {value});
    if (per_channel) set_integer(node, "axis", 0);
    return value;
  }

  std::string add_bias(const QuantizedLayer& layer) {
    const std::string codes = layer.name + "_bias_codes", scale = layer.name + "_bias_scale",
                      value = layer.name + "_bias";
    const auto channels = static_cast<int64_t>(layer.bias.size());
    auto* tensor = add_initializer(codes, onnx::TensorProto_DataType_INT32, {channels});
    auto* scales = add_initializer(scale, onnx::TensorProto_DataType_FLOAT, {channels});
    const float ifmap_scale = network_.tensor(layer.ifmaps[0]).quantization.scale;
    for (int64_t oc = 0; oc < channels; ++oc) {
      tensor->add_int32_data(layer.bias[static_cast<size_t>(oc)]);
      scales->add_float_data(ifmap_scale * layer.weight_scale(oc));
    }
    set_integer(add_node("DequantizeLinear", value + "_DequantizeLinear", {codes, scale}, {value}),
                "axis", 0);
    return value;
  }

  void write_node(const GraphNode& node) {
    std::vector<std::string> outputs = node.outputs, inputs = node.inputs;
    for (std::string& output : outputs) {
      if (tensors_.count(output) != 0) output += "_float";
    }
    for (std::string& input : inputs) {
      const auto found = renamed_.find(input);
      if (found != renamed_.end()) input = found->second;
    }
    const auto matmul = matmuls_.find(node.name);
    if (matmul != matmuls_.end()) {
      write_matmul(node, *matmul->second, inputs, outputs);
    } else {
      for (const std::string& input : inputs) copy_initializer(input);
      copy_attributes(node, add_node(node.op_type, node.name, inputs, outputs));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto found = tensors_.find(node.outputs[i]);
      if (found != tensors_.end()) quantize_value(outputs[i], node.outputs[i], *found->second);
    }
  }

  void write_matmul(const GraphNode& node, const QuantizedLayer& layer,
                    std::vector<std::string> inputs, const std::vector<std::string>& outputs) {
    const auto& workload = std::get<MatmulWorkload>(layer.workload);
    const Window& w = workload.window;
    const bool conv =
        network_.tensor(layer.ifmaps[0]).shape.size() > 1;  // Gemm and MatMul read vectors
    if (!conv) {
      // Gemm with the weight as it lies in the layer, [oc, K]; MatMul has no bias to give.
      inputs = {inputs[0], add_weights(layer, {w.ofmap_channels, w.ifmap_channels}),
                add_bias(layer)};
      set_integer(add_node("Gemm", node.name, inputs, outputs), "transB", 1);
      return;
    }
    const bool one_dimensional = network_.tensor(layer.ifmaps[0]).shape.size() == 2;
    const auto spatial = [&](int64_t rows, int64_t cols) {
      return one_dimensional ? std::vector<int64_t>{cols} : std::vector<int64_t>{rows, cols};
    };
    std::vector<int64_t> shape = {w.ofmap_channels, workload.group_ifmap_channels()};
    for (const int64_t extent : spatial(w.kernel_rows, w.kernel_cols)) shape.push_back(extent);
    auto* out = add_node("Conv", node.name, {inputs[0], add_weights(layer, shape), add_bias(layer)},
                         outputs);
    set_integer(out, "group", workload.groups);
    set_integers(out, "kernel_shape", spatial(w.kernel_rows, w.kernel_cols));
    set_integers(out, "strides", spatial(w.stride_rows, w.stride_cols));
    set_integers(out, "dilations", spatial(w.dilation_rows, w.dilation_cols));
    std::vector<int64_t> pads = spatial(w.pad_top, w.pad_left);
    for (const int64_t pad : spatial(w.pad_bottom, w.pad_right)) pads.push_back(pad);
    set_integers(out, "pads", pads);
  }

  void copy_initializer(const std::string& name) {
    const auto found = graph_.initializers.find(name);
    if (found == graph_.initializers.end() || !copied_.insert(name).second) return;
    const Tensor& from = found->second;
    auto* to = add_initializer(
        name, static_cast<onnx::TensorProto_DataType>(onnx_element_type(from.type())),
        from.shape());
    for (int64_t i = 0; i < from.elements(); ++i) {
      if (from.type() == ElementType::kFloat) {
        to->add_float_data(static_cast<float>(from.real(i)));
      } else if (from.type() == ElementType::kInt64) {
        to->add_int64_data(from.integer(i));
      } else {
        to->add_int32_data(static_cast<int32_t>(from.integer(i)));
      }
    }
  }

  static void set_integer(onnx::NodeProto* node, const std::string& name, int64_t value) {
    auto* attribute = node->add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto_AttributeType_INT);
    attribute->set_i(value);
  }
  static void set_integers(onnx::NodeProto* node, const std::string& name,
                           const std::vector<int64_t>& values) {
    auto* attribute = node->add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto_AttributeType_INTS);
    for (const int64_t value : values) attribute->add_ints(value);
  }

  static void copy_attributes(const GraphNode& from, onnx::NodeProto* node) {
    for (const auto& [name, value] : from.attributes) {
      if (const auto* integer = std::get_if<int64_t>(&value)) {
        set_integer(node, name, *integer);
        continue;
      }
      if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
        set_integers(node, name, *integers);
        continue;
      }
      auto* attribute = node->add_attribute();
      attribute->set_name(name);
      if (const auto* real = std::get_if<float>(&value)) {
        attribute->set_type(onnx::AttributeProto_AttributeType_FLOAT);
        attribute->set_f(*real);
      } else if (const auto* text = std::get_if<std::string>(&value)) {
        attribute->set_type(onnx::AttributeProto_AttributeType_STRING);
        attribute->set_s(*text);
      } else {
        throw InputError(
            {.file = "",
             .where = "node '" + from.name + "'",
             .field = name,
             .problem = "is of a type that a QCDQ file is not given",
             .fix = "report this network: no supported operator has such an attribute"});
      }
    }
  }

  const Graph& graph_;
  const QuantizedNetwork& network_;
  std::map<std::string, const QuantizedTensor*> tensors_;
  std::map<std::string, const QuantizedLayer*> matmuls_;
  std::map<std::string, std::string> renamed_;
  std::set<std::string> copied_;
  onnx::ModelProto model_;
  onnx::GraphProto* out_ = nullptr;
};

}  // namespace

std::string write_qcdq(const Graph& folded, const QuantizedNetwork& network) {
  return Writer(folded, network).run();
}

}  // namespace widthwise
