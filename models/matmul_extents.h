#pragma once
#include <vector>

#include "models/node_view.h"

namespace widthwise {

// numpy.matmul of two shapes: products of matrices [rows, length] and [length, cols], over all
// axes but the last two, which broadcast; a vector is a matrix of one row (A) or column (B).
struct MatmulExtents {
  int64_t rows = 1, length = 1, cols = 1;
  Shape first_batch, second_batch, batch;  // all axes but the last two: A's, B's and the result's
  Shape result;
  int64_t products() const { return shape_elements(batch); }
  // Of every product: which matrix of A and of B.
  std::vector<int64_t> first() const;
  std::vector<int64_t> second() const;
};
// Refuses shapes that do not fit, and more than 2^20 products.
MatmulExtents matmul_extents(const NodeView& node, const Shape& a, const Shape& b);

}  // namespace widthwise
