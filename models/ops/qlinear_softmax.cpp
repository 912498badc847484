#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/ops/quantized.h"

namespace widthwise {
namespace {

enum Input { kX, kXScale, kXZeroPoint, kYScale, kYZeroPoint };
constexpr int64_t kAxisOpset = 13;  // before, all axes from `axis` on were one

std::vector<Shape> infer_shape(const NodeView& node) {
  if (node.integer("opset", 0) < kAxisOpset) {
    node.refuse("opset",
                fmt::format("is {}, allowed {} or more", node.integer("opset", 0), kAxisOpset),
                "export the network with a newer opset");
  }
  node.axis("axis", node.integer("axis", -1), node.shape(kX).size());
  return {node.shape(kX)};
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const OperandCodes x = read_operand_codes(node, kX, kXScale, kXZeroPoint, "x");
  const OutputCodes y = read_output_codes(node, kYScale, kYZeroPoint, x.tensor.type());
  const Shape& shape = x.tensor.shape();
  const size_t axis = node.axis("axis", node.integer("axis", -1), shape.size());
  const int64_t length = shape[axis];
  int64_t inner = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const std::vector<int32_t> from = codes_of(x.tensor);
  std::vector<int32_t> codes(from.size());
  const double lift = std::max(0.0, std::log(static_cast<double>(std::numeric_limits<float>::max() /
                                                                 static_cast<float>(length))) -
                                        5);
  const float steps = std::floor(1.0F / y.scale);
  std::vector<float> powers(static_cast<size_t>(length));
  for (int64_t row = 0; length > 0 && row < std::ssize(from) / length; ++row) {
    const int64_t first = row / inner * inner * length + row % inner;
    const auto at = [&](int64_t i) { return static_cast<size_t>(first + i * inner); };
    int32_t greatest = std::numeric_limits<int32_t>::min();
    for (int64_t i = 0; i < length; ++i) greatest = std::max(greatest, from[at(i)]);
    float total = 0;
    for (int64_t i = 0; i < length; ++i) {
      float& power = powers[static_cast<size_t>(i)];
      power = static_cast<float>(
          std::exp((from[at(i)] - greatest) * static_cast<double>(x.scale) + lift));
      total += power;
    }
    for (int64_t i = 0; i < length; ++i) {
      const float code = std::nearbyint(powers[static_cast<size_t>(i)] * steps / total) +
                         static_cast<float>(y.zero_point);
      codes[at(i)] = rounded_code(code, y.q_min, y.q_max);
    }
  }
  return {code_tensor(node, y.type, shape, codes)};
}

}  // namespace

// QLinearSoftmax: e = f32(exp((code - greatest code) * x scale + lift)), where lift keeps their sum
// below float32's limit; y = rint(f32(f32(e * floor(1 / y scale)) / sum of e)) + y zero point.
// code_offset, q_min and q_max are no part of it. Source: ONNX Runtime's com.microsoft operator,
// version 1.
extern const Operator kQLinearSoftmax;
const Operator kQLinearSoftmax{"QLinearSoftmax",
                               {"axis", "code_offset", "opset", "q_max", "q_min"},
                               4,
                               5,
                               infer_shape,
                               evaluate,
                               nullptr,
                               nullptr,
                               kMicrosoftDomain};

}  // namespace widthwise
