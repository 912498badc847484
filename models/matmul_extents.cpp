#include "models/matmul_extents.h"

#include <fmt/format.h>

#include "models/evaluation.h"

namespace widthwise {

std::vector<int64_t> MatmulExtents::first() const { return broadcast_source(first_batch, batch); }

std::vector<int64_t> MatmulExtents::second() const { return broadcast_source(second_batch, batch); }

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
  constexpr int64_t kMostProducts = 1 << 20;
  e.first_batch.assign(left.begin(), left.end() - 2);
  e.second_batch.assign(right.begin(), right.end() - 2);
  e.batch = broadcast_shape(node, e.first_batch, e.second_batch);
  if (e.products() < 0 || e.products() > kMostProducts)
    node.refuse("shapes",
                fmt::format("{} and {} make {} products, allowed are {}", shape_text(a),
                            shape_text(b), shape_text(e.batch), kMostProducts),
                "reshape the data to fewer and larger matrices");
  e.result = e.batch;
  if (!row) e.result.push_back(e.rows);
  if (!col) e.result.push_back(e.cols);
  return e;
}

}  // namespace widthwise
