#include "models/node_work.h"

#include <algorithm>

namespace widthwise {
namespace {

// Products, or taps, that one element of the output takes.
double reduction_length(const NodeView& node) {
  const std::string& op = node.node().op_type;
  const auto rest = [&](size_t i) {  // of a weight [M, C / group, kernel...] with its M taken out
    if (!node.has_input(i)) return 1.0;
    const Shape& shape = node.shape(i);
    return shape.size() < 2 ? real_elements(shape)
                            : real_elements({shape.begin() + 1, shape.end()});
  };
  const auto longest = [&](size_t i) {  // whatever is transposed
    if (!node.has_input(i)) return 1.0;
    const Shape& shape = node.shape(i);
    const auto most = std::max_element(shape.begin(), shape.end());
    return most == shape.end() ? 1.0 : static_cast<double>(*most);
  };
  if (op == "Conv" || op == "ConvInteger") return rest(1);
  if (op == "QLinearConv" || op == "ConvDequantized") return rest(3);
  // Every element of the ofmap takes part in at most all taps; strides make it fewer.
  if (op == "ConvTranspose") return node.has_input(1) ? real_elements(node.shape(1)) : 1;
  if (op == "Gemm" || op == "QGemm") return longest(0);
  if (op == "MatMul" || op == "MatMulInteger" || op == "QLinearMatMul" || op == "MatMulDequantized")
    return node.has_input(0) && !node.shape(0).empty() ? static_cast<double>(node.shape(0).back())
                                                       : 1;
  if (op == "MaxPool" || op == "AveragePool" || op == "QLinearAveragePool")
    return real_elements(node.integers("kernel_shape", {}));
  if (op == "MultiThreshold") return longest(1);
  return 1;
}

}  // namespace

double real_elements(const Shape& shape) {
  double product = 1;
  for (const int64_t extent : shape) product *= static_cast<double>(std::max<int64_t>(extent, 1));
  return product;
}

double node_work(const NodeView& node, const std::vector<Shape>& outputs) {
  const double length = reduction_length(node);
  double work = 1;
  for (size_t i = 0; i < node.input_count(); ++i) {
    if (node.has_input(i)) work += real_elements(node.shape(i));
  }
  for (const Shape& output : outputs) work += real_elements(output) * length;
  return work;
}

}  // namespace widthwise
