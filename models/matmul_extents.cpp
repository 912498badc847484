#include "models/matmul_extents.h"

#include <fmt/format.h>

#include "models/evaluation.h"

namespace widthwise {

MatmulExtents matmul_extents(const NodeView& node, const Shape& a, const Shape& b) {
  const bool row = a.size() == 1, col = b.size() == 1;
  Shape left = a, right = b;
  if (row) left.insert(left.begin(), 1);
  if (col) right.push_back(1);
  if (left.size() < 2 || right.size() < 2 || left.back() != right[right.size() - 2]) {
    node.refuse("shapes", fmt::format("{} and {} do not fit", shape_text(a), shape_text(b)),
                "the last axis of A must be as long as the last but one of B");
  }
  MatmulExtents e;
  e.rows = left[left.size() - 2];
  e.length = left.back();
  e.cols = right.back();
  const Shape left_batch(left.begin(), left.end() - 2), right_batch(right.begin(), right.end() - 2);
  e.result = broadcast_shape(node, left_batch, right_batch);
  if (shape_elements(e.result) < 0)
    node.refuse("shapes", fmt::format("{} are too large", shape_text(e.result)), "correct them");
  e.first = broadcast_source(left_batch, e.result);
  e.second = broadcast_source(right_batch, e.result);
  if (!row) e.result.push_back(e.rows);
  if (!col) e.result.push_back(e.cols);
  return e;
}

}  // namespace widthwise
