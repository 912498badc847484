#pragma once
#include <optional>

#include "models/graph_editor.h"

namespace widthwise {

// A Conv, MatMul or Gemm of dequantized operands as QLinearConv, QLinearMatMul or QGemm with an
// output scale and zero point; without (both empty) as ConvDequantized, MatMulDequantized or QGemm
// that give real numbers. Its name and outputs are the caller's to set. Nothing where the integers
// alone do not say it: operands that are not dequantized, scales along another axis than the
// output channels, a bias that is not an integer at scale ifmap * weight.
std::optional<GraphNode> quantized_product(const GraphEditor& editor, const GraphNode& real,
                                           const std::string& scale, const std::string& zero_point);

}  // namespace widthwise
