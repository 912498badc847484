#include "models/ops/quantized_matmul.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/evaluation.h"

namespace widthwise {
namespace {

std::vector<int64_t> parameter_source(const NodeView& node, size_t i, const char* what,
                                      const CodeExtents& e, bool by_column) {
  if (shape_elements(e.result) == 0) return {};
  const int64_t own = by_column ? e.cols : e.rows;
  const auto size = static_cast<size_t>(e.products() * own);
  if (!node.has_input(i)) return std::vector<int64_t>(size, 0);
  Shape shape = node.tensor(i, what).shape();
  if (shape.empty() || shape == Shape{1}) return std::vector<int64_t>(size, 0);
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

CodeExtents code_extents(const NodeView& node, const Shape& a, const Shape& b) {
  CodeExtents extents{matmul_extents(node, a, b), {}};
  const int matrix_axes = (a.size() > 1) + (b.size() > 1);
  extents.batch.assign(extents.result.begin(), extents.result.end() - matrix_axes);
  return extents;
}

std::vector<int64_t> row_source(const NodeView& node, size_t i, const char* what,
                                const CodeExtents& extents) {
  return parameter_source(node, i, what, extents, false);
}
std::vector<int64_t> column_source(const NodeView& node, size_t i, const char* what,
                                   const CodeExtents& extents) {
  return parameter_source(node, i, what, extents, true);
}

std::vector<IntegerMatmul> code_matmuls(const NodeView& node, const CodeMatrices& m) {
  const CodeExtents& e = m.extents;
  if (shape_elements(e.result) == 0) return {};
  const std::vector<int32_t> a = codes_of(m.a), b = codes_of(m.b);
  const auto row_of = [](const std::vector<int32_t>& values, int64_t row, int64_t cols) {
    const int32_t* from = values.data() + row * cols;
    return values.empty() ? std::span<const int32_t>()
                          : std::span<const int32_t>(from, static_cast<size_t>(cols));
  };
  const bool bias_per_row = std::ssize(m.bias) == e.rows * e.cols && e.rows > 1;
  const auto bias_of = [&](int64_t row) { return row_of(m.bias, bias_per_row ? row : 0, e.cols); };
  std::vector<IntegerMatmul> matmuls;
  int64_t matrix = -1, weights = 0;
  for (int64_t product = 0; product < e.products(); ++product) {
    const auto zero_points = row_of(m.b_zero_points, product, e.cols);
    for (int64_t row = 0; row < e.rows; ++row) {
      const int32_t zero_point = m.a_zero_points.empty()
                                     ? 0
                                     : m.a_zero_points[static_cast<size_t>(product * e.rows + row)];
      const auto bias = bias_of(row);
      const auto same = [](std::span<const int32_t> x, const std::vector<int32_t>& y) {
        return std::equal(x.begin(), x.end(), y.begin(), y.end());
      };
      const bool more = !matmuls.empty() && matrix == e.second[static_cast<size_t>(product)] &&
                        matmuls.back().ifmap_zero_point == zero_point &&
                        same(zero_points, matmuls.back().weight_zero_points) &&
                        same(bias, matmuls.back().bias);
      if (!more) {
        matrix = e.second[static_cast<size_t>(product)];
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
        matmul.weights = weights_of(m, b, matrix);
        matmul.weight_zero_points.assign(zero_points.begin(), zero_points.end());
        matmul.bias.assign(bias.begin(), bias.end());
      }
      IntegerMatmul& matmul = matmuls.back();
      const int32_t* from = a.data() + e.first[static_cast<size_t>(product)] * e.rows * e.length;
      for (int64_t k = 0; k < e.length; ++k)
        matmul.ifmap.push_back(from[m.transposed_a ? k * e.rows + row : row * e.length + k]);
      ++matmul.images;
    }
  }
  return matmuls;
}

std::vector<int32_t> requantize_rows(const NodeView& node, const RequantizeConfig& config,
                                     std::span<const int64_t> sums, const CodeExtents& extents,
                                     const std::vector<float>& a_scales,
                                     const std::vector<float>& b_scales,
                                     const OutputCodes& output) {
  const auto rows = static_cast<size_t>(extents.rows), cols = static_cast<size_t>(extents.cols);
  std::vector<int32_t> codes(sums.size());
  std::vector<Requantizer> requantizers;  // of the columns of one row
  size_t made_for = 0;
  for (size_t row = 0; row * cols < codes.size(); ++row) {
    const bool new_product = row % rows == 0;
    if (new_product || a_scales[row] != a_scales[made_for]) {
      requantizers.clear();
      for (size_t n = 0; n < cols; ++n) {
        requantizers.push_back(
            make_requantizer(node, config, a_scales[row], b_scales[row / rows * cols + n], output));
      }
      made_for = row;
    }
    for (size_t n = 0; n < cols; ++n) codes[row * cols + n] = requantizers[n](sums[row * cols + n]);
  }
  return codes;
}

}  // namespace widthwise
