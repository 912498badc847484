#include <fmt/format.h>

#include <utility>

#include "models/movement.h"
#include "models/ops/axes.h"

namespace widthwise {
namespace {

size_t checked_axis(const NodeView& node) {
  const size_t axis = node.axis("axis", node.integer("axis", 0), node.shape(0).size());
  if (node.constant(0) == nullptr) node.require_not_batch("axis", axis);
  return axis;
}

// Along an axis of `extent`; negative ones count from its end.
std::vector<int64_t> indices(const NodeView& node, int64_t extent) {
  const Tensor& tensor = node.tensor(1, "indices");
  if (tensor.type() != ElementType::kInt64 && tensor.type() != ElementType::kInt32)
    node.refuse("indices",
                fmt::format("are {}, allowed int32, int64", element_type_name(tensor.type())),
                "cast them");
  std::vector<int64_t> all = tensor.integers();
  for (int64_t& index : all) {
    if (index < -extent || index >= extent)
      node.refuse("indices", fmt::format("hold {}, allowed {}..{}", index, -extent, extent - 1),
                  "correct them");
    if (index < 0) index += extent;
  }
  return all;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const Shape &data = node.shape(0), &chosen = node.shape(1);
  const auto axis = static_cast<std::ptrdiff_t>(checked_axis(node));
  Shape shape(data.begin(), data.begin() + axis);
  shape.insert(shape.end(), chosen.begin(), chosen.end());
  shape.insert(shape.end(), data.begin() + axis + 1, data.end());
  return {shape};
}

Sources sources(const NodeView& node) {
  const AxisSplit split = split_at(node.shape(0), checked_axis(node));
  const std::vector<int64_t> chosen = indices(node, split.extent);
  std::vector<int64_t> source;
  for (int64_t o = 0; o < split.outer; ++o) {
    for (const int64_t index : chosen) {
      for (int64_t i = 0; i < split.inner; ++i)
        source.push_back((o * split.extent + index) * split.inner + i);
    }
  }
  return {source};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, sources(node));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  return move_tensors(node, 1, sources(node), infer_shape(node));
}

std::vector<Shape> infer_elements_shape(const NodeView& node) {
  const Shape &data = node.shape(0), &chosen = node.shape(1);
  const size_t axis = checked_axis(node);
  bool fits = chosen.size() == data.size();
  for (size_t i = 0; fits && i < data.size(); ++i) fits = i == axis || chosen[i] <= data[i];
  if (!fits)
    node.refuse("indices",
                fmt::format("have the shape {}, which does not lie in the data's {} beside axis {}",
                            shape_text(chosen), shape_text(data), axis),
                "give indices of the data's rank and extents");
  return {chosen};
}

Sources element_sources(const NodeView& node) {
  const size_t axis = checked_axis(node);
  std::vector<int64_t> strides = row_major_strides(node.shape(0));
  const int64_t stride = std::exchange(strides[axis], 0);
  std::vector<int64_t> source = strided_source(0, node.shape(1), strides);
  const auto chosen = indices(node, node.shape(0)[axis]);
  for (size_t i = 0; i < source.size(); ++i) source[i] += chosen[i] * stride;
  return {source};
}

void lower_elements(const NodeView& node, LayerBuilder& builder) {
  lower_movement(node, builder, 1, element_sources(node));
}

std::vector<Tensor> evaluate_elements(const NodeView& node) {
  return move_tensors(node, 1, element_sources(node), infer_elements_shape(node));
}

}  // namespace

// Gather: the slices of the data that the indices name along `axis` (0), under the indices' shape.
// GatherElements: the element at each position, with the index in place of the position on `axis`.
// As a layer with constant indices beside the batch. Source: ONNX operators, opsets 1, 11, 13.
extern const Operator kGather, kGatherElements;
const Operator kGather{"Gather", {"axis"}, 2, 2, infer_shape, evaluate, lower};
const Operator kGatherElements{"GatherElements",  {"axis"},      2, 2, infer_elements_shape,
                               evaluate_elements, lower_elements};

}  // namespace widthwise
