#pragma once
#include <vector>

#include "models/node_view.h"

namespace widthwise {

// numpy.matmul of two shapes: products of matrices [rows, length] and [length, cols], over all
// axes but the last two, which broadcast; a vector is a matrix of one row (A) or column (B).
struct MatmulExtents {
  int64_t rows = 1, length = 1, cols = 1;
  std::vector<int64_t> first, second;  // of every product: which matrix of A and of B
  Shape result;
};
MatmulExtents matmul_extents(const NodeView& node, const Shape& a, const Shape& b);

}  // namespace widthwise
