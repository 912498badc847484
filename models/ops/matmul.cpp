#include <fmt/format.h>

#include "models/lowering.h"
#include "models/operator.h"

namespace widthwise {
namespace {

// B's extents [K, M].
Shape extents(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "A");
  const Shape& weight = node.float_constant(1, "B").shape;
  bool one_row = ifmap.size() >= 2;
  for (size_t i = 1; i + 1 < ifmap.size(); ++i) one_row = one_row && ifmap[i] == 1;
  if (!one_row || weight.size() != 2 || weight[0] != ifmap.back()) {
    node.refuse("shapes",
                fmt::format("{} and {} are not supported, needed [N, K] and a constant [K, M]",
                            shape_text(ifmap), shape_text(weight)),
                "write a product over several rows as a 1x1 Conv");
  }
  return weight;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  Shape ofmap = node.activation(0, "A");
  ofmap.back() = extents(node)[1];
  return {ofmap};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const Shape weight = extents(node);
  const std::vector<float>& b = node.float_constant(1, "B").floats;
  FloatLayer layer;
  MatmulWorkload matmul;
  matmul.window.ifmap_channels = weight[0];
  matmul.window.ofmap_channels = weight[1];
  layer.workload = matmul;
  for (int64_t m = 0; m < weight[1]; ++m) {
    for (int64_t k = 0; k < weight[0]; ++k) {
      layer.weights.push_back(b[static_cast<size_t>(k * weight[1] + m)]);
    }
  }
  builder.add(node, std::move(layer));
}

std::vector<Values> reference(const NodeView& node, const std::vector<Values>& inputs) {
  const auto columns = static_cast<size_t>(extents(node)[1]);
  Values ofmap(columns, 0);
  for (size_t i = 0; i < inputs[1].size(); ++i) {
    ofmap[i % columns] += inputs[0][i / columns] * inputs[1][i];
  }
  return {ofmap};
}

}  // namespace

// MatMul: ofmap [N, M] = A [N, K] * constant B [K, M]. Source: ONNX operator, opsets 1, 9, 13.
extern const Operator kMatMul;
const Operator kMatMul{"MatMul", {}, 2, 2, infer_shape, lower, reference};

}  // namespace widthwise
