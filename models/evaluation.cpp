#include "models/evaluation.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/movement.h"

namespace widthwise {

void require_number(const NodeView& node, const Tensor& tensor) {
  const auto format = integer_format(tensor.type());
  if (!format || format->bits >= 8) return;
  node.refuse("type",
              fmt::format("is {}, allowed are real numbers and integers of 8 bits and more",
                          element_type_name(tensor.type())),
              "cast it");
}

void require_one_type(const NodeView& node, const Tensor& a, const Tensor& b) {
  if (a.type() == b.type()) return;
  node.refuse("inputs",
              fmt::format("are of the types {} and {}", element_type_name(a.type()),
                          element_type_name(b.type())),
              "cast them to one type");
}

Shape broadcast_shape(const NodeView& node, const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape shape(rank);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t first = i + a.size() < rank ? 1 : a[i + a.size() - rank];
    const int64_t second = i + b.size() < rank ? 1 : b[i + b.size() - rank];
    if (first != second && first != 1 && second != 1) {
      node.refuse("shapes", fmt::format("{} and {} do not broadcast", shape_text(a), shape_text(b)),
                  "bring both to one shape");
    }
    shape[i] = first == 1 ? second : first;
  }
  return shape;
}

std::vector<int64_t> broadcast_source(const Shape& from, const Shape& to) {
  const std::vector<int64_t> own = row_major_strides(from);
  std::vector<int64_t> strides(to.size(), 0);
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != 1) strides[i + to.size() - from.size()] = own[i];
  }
  return strided_source(0, to, strides);
}

}  // namespace widthwise
