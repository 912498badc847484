#include <algorithm>
#include <optional>

#include "models/fuse_passes.h"
#include "models/graph_editor.h"
#include "models/ops/quant_codes.h"

namespace widthwise {
namespace {

constexpr int kMostBits = 16;  // of operands; constants may have 32, as biases do

// The axis, counted from the end, along which a parameter differs; 0 for one element; nothing for
// more than one axis.
std::optional<int64_t> varying_axis(const Shape& shape) {
  int64_t axis = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    if (axis != 0) return std::nullopt;
    axis = static_cast<int64_t>(i) - static_cast<int64_t>(shape.size());
  }
  return axis;
}

class Separator {
 public:
  Separator(Graph& graph, FuseFor fuse_for) : editor_(graph), fuse_for_(fuse_for) {}

  void run() {
    std::vector<GraphNode> nodes = std::move(editor_.graph().nodes);
    for (GraphNode& node : nodes) {
      if (!separate(node)) editor_.keep(std::move(node));
    }
    editor_.finish();
  }

 private:
  // BipolarQuant is the Quant of one signed bit.
  GraphNode as_quant(const GraphNode& node) {
    GraphNode quant = node;
    if (node.op_type == "BipolarQuant") {
      quant.op_type = "Quant";
      quant.inputs.resize(2);
      quant.inputs.push_back(editor_.add_constant(node.name + "_zero_point", Tensor::scalar(0)));
      quant.inputs.push_back(editor_.add_constant(node.name + "_bits", Tensor::scalar(1)));
      quant.attributes = {{"narrow", int64_t{0}}, {"signed", int64_t{1}}};
    }
    return quant;
  }

  bool separate(const GraphNode& given) {
    if (given.domain != kQonnxDomain || given.outputs.size() != 1 || given.inputs.size() < 2 ||
        (given.op_type != "Quant" && given.op_type != "IntQuant" &&
         given.op_type != "BipolarQuant"))
      return false;
    const GraphNode node = as_quant(given);
    if (node.inputs.size() != 4) return false;  // refused where it is checked
    const Tensor *x = editor_.constant(node.inputs[0]), *scale = editor_.constant(node.inputs[1]),
                 *zero_point = editor_.constant(node.inputs[2]),
                 *bits = editor_.constant(node.inputs[3]);
    if (scale == nullptr || zero_point == nullptr || bits == nullptr) return false;
    // Without its data the node is read with the scale's shape, which must be broadcast anyway.
    const Tensor stand_in(ElementType::kFloat, scale->rank() >= zero_point->rank()
                                                   ? scale->shape()
                                                   : zero_point->shape());
    const NodeView view(editor_.graph(), node,
                        {x != nullptr ? x : &stand_in, scale, zero_point, bits});
    const QonnxQuant quant = read_qonnx_quant(view);
    const IntegerFormat format = code_format(quant);
    const auto axis = varying_axis(quant.scale.shape());
    const bool one_zero = quant.zero_point.elements() == 1;
    if (!axis || (!one_zero && quant.zero_point.shape() != quant.scale.shape())) return false;
    if (format.bits > (x != nullptr ? 32 : kMostBits)) return false;
    const ElementType type = element_type(format);
    for (const double zero : quant.zero_point.reals()) {
      if (!integer_format(type)->holds(static_cast<int64_t>(zero))) return false;
    }
    const std::string codes = editor_.new_value(node.outputs[0] + "_codes");
    if (x != nullptr) {
      editor_.graph().initializers[codes] = quant_codes(view, *x, quant);
    } else if (!quantize_linear(node, quant, format, codes)) {
      GraphNode integers = node;
      integers.op_type = "QuantCodes";
      integers.domain = kOwnDomain;
      integers.outputs = {codes};
      editor_.keep(std::move(integers));
    }
    editor_.graph().formats[codes] = format;
    keep_dequantize(node, quant, type, *axis, codes);
    return true;
  }

  // With the datapath's rounding in place of Quant's.
  bool quantize_linear(const GraphNode& node, const QonnxQuant& quant, IntegerFormat format,
                       const std::string& codes) {
    if (fuse_for_ != FuseFor::kDatapath || quant.bipolar() || quant.scale.elements() != 1 ||
        quant.rounding != QonnxRounding::kHalfEven)
      return false;
    const ElementType type = element_type(format);
    const IntegerFormat stored = *integer_format(type);
    const QonnxRange range = q_range(quant);
    const bool narrower = range.low > stored.min() || range.high < stored.max();
    GraphNode quantize;
    quantize.name = node.name;
    quantize.op_type = "QuantizeLinear";
    quantize.inputs = {
        node.inputs[0], editor_.add_constant(codes + "_scale", quant.scale.reshaped({})),
        editor_.add_constant(codes + "_zero_point", integer(type, quant.zero_point.integer(0)))};
    quantize.outputs = {narrower ? editor_.new_value(codes + "_stored") : codes};
    GraphNode clip;
    clip.name = node.name + "_Clip";
    clip.op_type = "Clip";
    clip.inputs = {quantize.outputs[0],
                   editor_.add_constant(codes + "_min", integer(type, range.low)),
                   editor_.add_constant(codes + "_max", integer(type, range.high))};
    clip.outputs = {codes};
    editor_.keep(std::move(quantize));
    if (narrower) editor_.keep(std::move(clip));
    return true;
  }

  static Tensor integer(ElementType type, int64_t value) {
    Tensor tensor(type, {});
    visit_type(type, [&](auto stored) {
      tensor.write<decltype(stored)>()[0] = static_cast<decltype(stored)>(value);
    });
    return tensor;
  }

  void keep_dequantize(const GraphNode& node, const QonnxQuant& quant, ElementType type,
                       int64_t axis, const std::string& codes) {
    const int64_t count = quant.scale.elements();
    Tensor zero_points(type, axis == 0 ? Shape{} : Shape{count});
    visit_type(type, [&](auto stored) {
      using T = decltype(stored);
      const auto to = zero_points.write<T>();
      for (size_t i = 0; i < to.size(); ++i) {
        const bool one = quant.zero_point.elements() == 1;
        to[i] = static_cast<T>(quant.zero_point.integer(one ? 0 : static_cast<int64_t>(i)));
      }
    });
    GraphNode dequantize;
    dequantize.name = node.name + "_DequantizeLinear";
    dequantize.op_type = "DequantizeLinear";
    const Shape shape = zero_points.shape();
    dequantize.inputs = {codes,
                         editor_.add_constant(codes + "_scales", quant.scale.reshaped(shape)),
                         editor_.add_constant(codes + "_zero_points", std::move(zero_points))};
    dequantize.outputs = node.outputs;
    if (axis != 0) dequantize.attributes["axis"] = axis;
    editor_.keep(std::move(dequantize));
  }

  GraphEditor editor_;
  FuseFor fuse_for_;
};

}  // namespace

void separate_qonnx_codes(Graph& graph, FuseFor fuse_for) { Separator(graph, fuse_for).run(); }

}  // namespace widthwise
