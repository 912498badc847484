#pragma once
#include <optional>

#include "models/graph.h"

namespace widthwise {

struct FuseOptions {
  // QONNX's Quant of activations becomes QuantizeLinear, whose rounding differs on ties, so that
  // the requantizer of a datapath can take its place. Only for Quant that rounds half to even.
  bool qonnx_as_quantize_linear = false;
};

// Brings a quantized graph into integer form, so that whatever multiplies and accumulates integers
// is one node with a MacOperator. The file's ways of saying it are undone:
//   QDQ, QCDQ   DequantizeLinear -> operator -> [Relu, Clip] -> QuantizeLinear [-> Clip] becomes
//               the QLinear operator that ONNX Runtime makes of it, with q_min and q_max
//   QONNX       Quant becomes QuantCodes (its integers) and DequantizeLinear
//   no quantized output: ConvInteger or MatMulInteger, then DequantizeLinear by scale * scale
// Data movement and max-pooling of dequantized values move the codes. A float network stays as it
// is. Constants are folded. `graph.formats` says where codes have fewer bits than their type.
// Throws InputError for nodes that are not supported.
Graph fuse(Graph graph, const FuseOptions& options = {});

}  // namespace widthwise
