#pragma once
#include "models/graph.h"

namespace widthwise {

// Whose arithmetic between two tensors of codes counts.
enum class FuseFor {
  // The file's: element-wise operators and pools are fused where ONNX Runtime fuses them, and
  // QONNX's Quant rounds as QONNX says. Results are those of ONNX Runtime or QONNX's executor.
  kFile,
  // A datapath's, whose requantizer takes the place of all of them: whatever stands between
  // DequantizeLinear and QuantizeLinear is one layer, and Quant is QuantizeLinear.
  kDatapath,
};

// Brings a quantized graph into integer form, so that whatever multiplies and accumulates integers
// is one node with a MacOperator. The file's ways of saying it are undone:
//   QDQ, QCDQ   DequantizeLinear -> operator -> [Relu, Clip] -> QuantizeLinear [-> Clip] becomes
//               the QLinear operator that ONNX Runtime makes of it, with q_min and q_max
//   QONNX       Quant becomes QuantCodes (its integers) and DequantizeLinear
//   no quantized output: ConvInteger or MatMulInteger, then DequantizeLinear by scale * scale
// Data movement and max-pooling of dequantized values move the codes. A float network stays as it
// is. Constants are folded. `graph.formats` says where codes have fewer bits than their type.
// Throws InputError for nodes that are not supported, and for constant scales that are not normal
// positive numbers.
Graph fuse(Graph graph, FuseFor fuse_for = FuseFor::kFile);

}  // namespace widthwise
