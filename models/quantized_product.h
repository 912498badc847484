#pragma once
#include <optional>

#include "models/graph_editor.h"

namespace widthwise {

// The quantization of a product's result: initializers of one element. Both empty: it stays real.
struct ProductOutput {
  std::string scale, zero_point;
  bool round_bias = false;        // a constant real one becomes integers
  bool quantize_weights = false;  // and real weights, as ONNX Runtime does it
};

// A Conv, MatMul or Gemm (a MatMul may have a third input, its bias) of dequantized operands as
// QLinearConv, QLinearMatMul or QGemm; if the result stays real as ConvDequantized,
// MatMulDequantized or QGemm without output scale. Its name and outputs are the caller's to set.
// Nothing where the integers alone do not say it: operands that are not dequantized, scales along
// another axis than the output channels, a bias at another scale than ifmap * weight.
std::optional<GraphNode> quantized_product(GraphEditor& editor, const GraphNode& real,
                                           const ProductOutput& output);

// What ONNX Runtime makes of a constant real bias [channels] (or [1]), input 2 of a Conv,
// ConvTranspose, Gemm or MatMul whose operands x and w are codes: rint(f32(bias / f32(x_scale *
// w_scale))). Nothing for other biases, where an int32 does not hold it, and where the weight's
// scales are not along the output channels.
std::optional<Tensor> rounded_bias(const GraphEditor& editor, const GraphNode& real,
                                   const Dequantized& x, const Dequantized& w);
// What it makes of constant real weights: DynamicQuantizeLinear.
std::optional<Dequantized> quantized_weight(GraphEditor& editor, const std::string& value);

}  // namespace widthwise
