#pragma once
#include <vector>

#include "models/matmul_extents.h"
#include "models/ops/quantized.h"

namespace widthwise {

// Which element of input i, a parameter of A, belongs to every row of every product, [products,
// rows]: one for all, [rows], or [..., rows, 1], which broadcasts to the batch. column_source: of B
// to every column, [cols] or [..., 1, cols]. Other shapes are refused. Nothing for an empty result,
// one index if one parameter belongs to all.
std::vector<int64_t> row_source(const NodeView& node, size_t i, const char* what,
                                const MatmulExtents& extents);
std::vector<int64_t> column_source(const NodeView& node, size_t i, const char* what,
                                   const MatmulExtents& extents);
template <class T>
std::vector<T> gather(const std::vector<T>& values, const std::vector<int64_t>& source) {
  std::vector<T> all;
  if (values.empty()) return all;
  all.reserve(source.size());
  for (const int64_t i : source) all.push_back(values[static_cast<size_t>(i)]);
  return all;
}

// Products of matrices of codes: A [rows, length] * B [length, cols] for every product of a batch.
// The rows of A are the images of the matmuls, B is the weight.
struct CodeMatrices {
  const Tensor &a, &b;
  IntegerFormat a_format, b_format;
  MatmulExtents extents;
  bool transposed_a = false, transposed_b = false;  // as stored; only without a batch
  std::vector<int32_t> a_zero_points = {};          // [products, rows], or one; empty: 0
  std::vector<int32_t> b_zero_points = {};          // [products, cols], or one; empty: 0
  std::vector<int32_t> bias = {};                   // empty, [cols], or [rows, cols]
};

// Inputs of a node: its matrices, their zero points and an int32 bias [cols].
struct ProductInputs {
  size_t a, a_zero_point, b, b_zero_point, bias;
};
MatmulExtents product_extents(const NodeView& node, const ProductInputs& inputs);
CodeMatrices read_product(const NodeView& node, const ProductInputs& inputs);
// Scales of A [products, rows] and B [products, cols], or one for all.
std::vector<float> row_scales(const NodeView& node, size_t i, const char* what,
                              const MatmulExtents& extents);
std::vector<float> column_scales(const NodeView& node, size_t i, const char* what,
                                 const MatmulExtents& extents);

// As few matmuls as possible: consecutive rows with one matrix B, one zero point of A, the same of
// B and the same bias are the images of one. Refuses when that repeats B beyond kMaxTensorElements.
std::vector<IntegerMatmul> code_matmuls(const NodeView& node, const CodeMatrices& matrices);

// The sums of code_matmuls() as codes: a_scales [products, rows], b_scales [products, cols], either
// of which may be one for all.
std::vector<int32_t> requantize_rows(const NodeView& node, const RequantizeConfig& config,
                                     std::span<const int64_t> sums, const MatmulExtents& extents,
                                     const std::vector<float>& a_scales,
                                     const std::vector<float>& b_scales, const OutputCodes& output);

}  // namespace widthwise
