#include <fmt/format.h>

#include <cmath>

#include "models/evaluation.h"
#include "models/ops/quantized_matmul.h"

namespace widthwise {
namespace {

enum Input { kA, kAScale, kAZeroPoint, kB, kBScale, kBZeroPoint, kC, kYScale, kYZeroPoint };

bool transposed(const NodeView& node, const char* name) {
  const int64_t value = node.integer(name, 0);
  if (value != 0 && value != 1)
    node.refuse(name, fmt::format("is {}, allowed 0 or 1", value), "correct it");
  return value == 1;
}

MatmulExtents extents(const NodeView& node) {
  Shape a = node.shape(kA), b = node.shape(kB);
  if (a.size() != 2 || b.size() != 2) {
    node.refuse("shapes",
                fmt::format("are {} and {}, allowed are matrices", shape_text(a), shape_text(b)),
                "put a Flatten before it");
  }
  if (transposed(node, "transA")) std::swap(a[0], a[1]);
  if (transposed(node, "transB")) std::swap(b[0], b[1]);
  return matmul_extents(node, a, b);
}

std::vector<Shape> infer_shape(const NodeView& node) { return {extents(node).result}; }

// C of [rows, cols], [cols], or empty.
std::vector<int32_t> bias(const NodeView& node, const MatmulExtents& e) {
  if (!node.has_input(kC)) return {};
  const Tensor& c = node.tensor(kC, "C");
  const Shape& shape = node.shape(kC);
  if (c.type() != ElementType::kInt32 || shape.size() > 2 ||
      broadcast_shape(node, shape, e.result) != e.result) {
    node.refuse("C",
                fmt::format("is {} of type {}, needed is int32 that broadcasts to {}",
                            shape_text(shape), element_type_name(c.type()), shape_text(e.result)),
                "give one int32 per column");
  }
  if (c.shape() != shape) return {};  // not known before it runs
  const bool one_row = shape.size() < 2 || shape[0] == 1;
  return gather(codes_of(c), broadcast_source(shape, one_row ? Shape{1, e.cols} : e.result));
}

std::vector<IntegerMatmul> matmuls(const NodeView& node) {
  const MatmulExtents e = extents(node);
  const Tensor &a = node.tensor(kA, "A"), &b = node.tensor(kB, "B");
  CodeMatrices matrices{a, b, operand_format(node, kA, "A"), operand_format(node, kB, "B"), e};
  matrices.transposed_a = transposed(node, "transA");
  matrices.transposed_b = transposed(node, "transB");
  matrices.a_zero_points = {read_zero_point(node, kAZeroPoint, "a_zero_point", a.type())};
  matrices.b_zero_points = gather(read_zero_points(node, kBZeroPoint, "b_zero_point", b.type()),
                                  column_source(node, kBZeroPoint, "b_zero_point", e));
  matrices.bias = bias(node, e);
  return code_matmuls(node, matrices);
}

std::vector<Tensor> finish(const NodeView& node, std::span<const int64_t> sums,
                           const RequantizeConfig& config) {
  const MatmulExtents e = extents(node);
  const float alpha = node.real("alpha", 1),
              a_scale = checked_scale(node, "alpha * a_scale",
                                      alpha * read_scale(node, kAScale, "a_scale"));
  const std::vector<float> b_scales =
      gather(read_scales(node, kBScale, "b_scale"), column_source(node, kBScale, "b_scale", e));
  if (node.has_input(kYScale) != node.has_input(kYZeroPoint)) {
    node.refuse("y_zero_point", "and y_scale must be given both, or none for an output of float",
                "give both");
  }
  if (!node.has_input(kYScale)) {
    Tensor result = node.output(ElementType::kFloat, e.result);
    const auto to = result.write<float>();
    for (size_t i = 0; i < to.size(); ++i)
      to[i] = static_cast<float>(sums[i]) * (a_scale * b_scales[i % b_scales.size()]);
    return {result};
  }
  const OutputCodes output =
      read_output_codes(node, kYScale, kYZeroPoint, node.tensor(kA, "A").type());
  return {code_tensor(node, output.type, e.result,
                      requantize_rows(node, config, sums, e, {a_scale}, b_scales, output))};
}

constexpr MacOperator kMac{matmuls, finish};
std::vector<Tensor> evaluate(const NodeView& node) { return evaluate_mac(node, kMac); }

}  // namespace

// QGemm: acc = sum of (A - a_zero_point) * (B - b_zero_point) + C, A and B transposed on request, C
// int32 and broadcast; requantized by alpha * a_scale * b_scale / y_scale. Without y_scale the
// output is float: acc * (alpha * a_scale * b_scale). q_min and q_max are no part of it.
// Source: ONNX Runtime's com.microsoft operator, version 1.
extern const Operator kQGemm;
const Operator kQGemm{"QGemm",
                      {"alpha", "q_max", "q_min", "transA", "transB"},
                      6,
                      9,
                      infer_shape,
                      evaluate,
                      nullptr,
                      &kMac,
                      kMicrosoftDomain};

}  // namespace widthwise
