#pragma once
#include <string>

#include "models/graph.h"
#include "quant/quantized_network.h"

namespace widthwise {

// The bytes of an ONNX model (the graph's opset, 13 or more) that computes the quantized network in
// standard operators: every tensor goes through QuantizeLinear, a Clip that states its bits when
// they are fewer than 8, and DequantizeLinear; weights are int8 or uint8 codes with their Clip and
// DequantizeLinear (axis 0), biases int32 with scale ifmap * weight. Float
// operators stand between, as ONNX defines QDQ. `folded` is the graph that the network came from.
// Throws InputError for an older opset, weight zero points that differ by channel (ONNX Runtime
// refuses them), and operands of more than 8 bits, which QCDQ does not
// hold.
std::string write_qcdq(const Graph& folded, const QuantizedNetwork& network);

}  // namespace widthwise
