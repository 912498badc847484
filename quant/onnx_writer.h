#pragma once
#include <string>

#include "models/graph.h"
#include "quant/quantized_network.h"

namespace widthwise {

// How a quantized network is written.
enum class QuantizedFile {
  kQcdq,   // QuantizeLinear, Clip where there are fewer than 8 bits, DequantizeLinear: ONNX Runtime
           // runs it as it is
  kQonnx,  // Quant of qonnx.custom_op.general: Brevitas, FINN, hls4ml
};

// The bytes of an ONNX model (the graph's opset, 13 or more) that computes the quantized network in
// float operators between quantized values: every tensor is quantized after the operator that
// writes it; weights are codes with one scale, or one for each output channel (axis 0), biases are
// integers at scale ifmap * weight. Layers in float stay so, with the tensors between them.
// `folded` is the graph that the network came from. Importing it again (models/fuse.h,
// quant/quantized_import.h) gives the same layers, if none is in float.
// Throws InputError for an older opset; for kQcdq weight zero points that differ by channel (ONNX
// Runtime refuses them) and operands of more than 8 bits; for kQonnx bias codes that float32 does
// not hold (from 2^22 on).
std::string write_quantized(const Graph& folded, const QuantizedNetwork& network,
                            QuantizedFile kind);

inline std::string write_qcdq(const Graph& folded, const QuantizedNetwork& network) {
  return write_quantized(folded, network, QuantizedFile::kQcdq);
}

}  // namespace widthwise
