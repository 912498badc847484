#include "models/ops/quantized_matmul.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/evaluation.h"

namespace widthwise {
namespace {

std::vector<int64_t> parameter_source(const NodeView& node, size_t i, const char* what,
                                      const MatmulExtents& e, bool by_column) {
  if (shape_elements(e.result) == 0) return {};
  const int64_t own = by_column ? e.cols : e.rows;
  if (!node.has_input(i)) return {0};
  Shape shape = node.tensor(i, what).shape();
  if (shape.empty() || shape == Shape{1}) return {0};
  Shape target = e.batch;
  target.push_back(by_column ? 1 : own);
  target.push_back(by_column ? own : 1);
  if (shape.size() == 1) shape.insert(by_column ? shape.begin() : shape.end(), 1);
  bool fits = shape.size() <= target.size();
  for (size_t k = 0; fits && k < shape.size(); ++k) {
    fits = shape[k] == 1 || shape[k] == target[k + target.size() - shape.size()];
  }
  if (!fits) {
    node.refuse(what,
                fmt::format("has the shape {}; allowed are one value, one per {}, or {}",
                            shape_text(node.shape(i)), by_column ? "column of B" : "row of A",
                            shape_text(target)),
                "quantize A per tensor or per row, B per tensor or per column");
  }
  return broadcast_source(shape, target);
}

// [cols, length] of one matrix B, as a workload has its weights.
std::vector<int32_t> weights_of(const CodeMatrices& m, const std::vector<int32_t>& b,
                                int64_t matrix) {
  const int64_t length = m.extents.length, cols = m.extents.cols;
  const int32_t* from = b.data() + matrix * length * cols;
  if (m.transposed_b) return {from, from + length * cols};
  std::vector<int32_t> weights(static_cast<size_t>(length * cols));
  for (int64_t n = 0; n < cols; ++n) {
    for (int64_t k = 0; k < length; ++k)
      weights[static_cast<size_t>(n * length + k)] = from[k * cols + n];
  }
  return weights;
}

}  // namespace

std::vector<int64_t> row_source(const NodeView& node, size_t i, const char* what,
                                const MatmulExtents& extents) {
  return parameter_source(node, i, what, extents, false);
}
std::vector<int64_t> column_source(const NodeView& node, size_t i, const char* what,
                                   const MatmulExtents& extents) {
  return parameter_source(node, i, what, extents, true);
}

MatmulExtents product_extents(const NodeView& node, const ProductInputs& inputs) {
  return matmul_extents(node, node.shape(inputs.a), node.shape(inputs.b));
}

CodeMatrices read_product(const NodeView& node, const ProductInputs& inputs) {
  const MatmulExtents e = product_extents(node, inputs);
  const Tensor &a = node.tensor(inputs.a, "A"), &b = node.tensor(inputs.b, "B");
  CodeMatrices matrices{a, b, operand_format(node, inputs.a, "A"),
                        operand_format(node, inputs.b, "B"), e};
  matrices.a_zero_points =
      gather(read_zero_points(node, inputs.a_zero_point, "a_zero_point", a.type()),
             row_source(node, inputs.a_zero_point, "a_zero_point", e));
  matrices.b_zero_points =
      gather(read_zero_points(node, inputs.b_zero_point, "b_zero_point", b.type()),
             column_source(node, inputs.b_zero_point, "b_zero_point", e));
  matrices.bias = read_bias(node, inputs.bias, e.cols);
  return matrices;
}

std::vector<float> row_scales(const NodeView& node, size_t i, const char* what,
                              const MatmulExtents& extents) {
  return gather(read_scales(node, i, what), row_source(node, i, what, extents));
}
std::vector<float> column_scales(const NodeView& node, size_t i, const char* what,
                                 const MatmulExtents& extents) {
  return gather(read_scales(node, i, what), column_source(node, i, what, extents));
}

std::vector<IntegerMatmul> code_matmuls(const NodeView& node, const CodeMatrices& m) {
  const MatmulExtents& e = m.extents;
  if (shape_elements(e.result) == 0) return {};
  const std::vector<int32_t> a = codes_of(m.a), b = codes_of(m.b);
  const auto row_of = [](const std::vector<int32_t>& values, int64_t row, int64_t cols) {
    if (values.size() <= 1) return std::span<const int32_t>(values);
    return std::span<const int32_t>(values).subspan(static_cast<size_t>(row * cols),
                                                    static_cast<size_t>(cols));
  };
  const bool bias_per_row = std::ssize(m.bias) == e.rows * e.cols && e.rows > 1;
  const auto bias_of = [&](int64_t row) { return row_of(m.bias, bias_per_row ? row : 0, e.cols); };
  const bool one_for_all_rows = m.a_zero_points.size() <= 1 && !bias_per_row;
  const auto first = e.first(), second = e.second();
  std::vector<IntegerMatmul> matmuls;
  int64_t matrix = -1, weights = 0;
  for (int64_t product = 0; product < e.products(); ++product) {
    const auto zero_points = row_of(m.b_zero_points, product, e.cols);
    const int64_t run = one_for_all_rows ? e.rows : 1;
    for (int64_t row = 0; row < e.rows; row += run) {
      const int32_t zero_point = m.a_zero_points.empty() ? 0
                                 : m.a_zero_points.size() == 1
                                     ? m.a_zero_points[0]
                                     : m.a_zero_points[static_cast<size_t>(product * e.rows + row)];
      const auto bias = bias_of(row);
      const auto same = [](std::span<const int32_t> x, const std::vector<int32_t>& y) {
        return std::equal(x.begin(), x.end(), y.begin(), y.end());
      };
      const bool more = !matmuls.empty() && matrix == second[static_cast<size_t>(product)] &&
                        matmuls.back().ifmap_zero_point == zero_point &&
                        same(zero_points, matmuls.back().weight_zero_points) &&
                        same(bias, matmuls.back().bias);
      if (!more) {
        matrix = second[static_cast<size_t>(product)];
        weights += e.length * e.cols;
        if (weights > kMaxTensorElements) {
          node.refuse("shapes",
                      fmt::format("and zero points need more than {} weights in separate products",
                                  kMaxTensorElements),
                      "use fewer matrices, or one zero point for all rows");
        }
        IntegerMatmul& matmul = matmuls.emplace_back();
        matmul.workload.window.ifmap_channels = e.length;
        matmul.workload.window.ofmap_channels = e.cols;
        matmul.images = 0;
        matmul.ifmap_format = m.a_format;
        matmul.weight_format = m.b_format;
        matmul.ifmap_zero_point = zero_point;
        if (!b.empty()) matmul.weights = weights_of(m, b, matrix);
        matmul.weight_zero_points.assign(zero_points.begin(), zero_points.end());
        matmul.bias.assign(bias.begin(), bias.end());
      }
      IntegerMatmul& matmul = matmuls.back();
      matmul.images += run;
      if (a.empty()) continue;
      const int32_t* from = a.data() + first[static_cast<size_t>(product)] * e.rows * e.length;
      for (int64_t r = row; r < row + run; ++r) {
        for (int64_t k = 0; k < e.length; ++k)
          matmul.ifmap.push_back(from[m.transposed_a ? k * e.rows + r : r * e.length + k]);
      }
    }
  }
  return matmuls;
}

std::vector<int32_t> requantize_rows(const NodeView& node, const RequantizeConfig& config,
                                     std::span<const int64_t> sums, const MatmulExtents& extents,
                                     const std::vector<float>& a_scales,
                                     const std::vector<float>& b_scales,
                                     const OutputCodes& output) {
  const auto rows = static_cast<size_t>(extents.rows), cols = static_cast<size_t>(extents.cols);
  std::vector<int32_t> codes(sums.size());
  std::vector<Requantizer> requantizers;  // of the columns of one row
  size_t made_for = 0;
  for (size_t row = 0; row * cols < codes.size(); ++row) {
    const auto of_row = [&](size_t r) { return a_scales[a_scales.size() == 1 ? 0 : r]; };
    const bool new_product = row % rows == 0 && b_scales.size() > 1;
    if (requantizers.empty() || new_product || of_row(row) != of_row(made_for)) {
      requantizers.clear();
      for (size_t n = 0; n < (b_scales.size() == 1 ? 1 : cols); ++n) {
        const float b_scale = b_scales[b_scales.size() == 1 ? 0 : row / rows * cols + n];
        requantizers.push_back(make_requantizer(node, config, of_row(row), b_scale, output));
      }
      made_for = row;
    }
    for (size_t n = 0; n < cols; ++n) {
      const Requantizer& requantize = requantizers[requantizers.size() == 1 ? 0 : n];
      codes[row * cols + n] = requantize(sums[row * cols + n]);
    }
  }
  return codes;
}

}  // namespace widthwise
