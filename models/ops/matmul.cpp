#include <fmt/format.h>

#include "models/evaluation.h"
#include "models/lowering.h"
#include "models/matmul_extents.h"
#include "models/operator.h"

namespace widthwise {
namespace {

// As a layer: B's extents [K, M].
Shape extents(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "A");
  const Shape& weight = node.float_constant(1, "B").shape();
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
  if (!node.one_image()) return {matmul_extents(node, node.shape(0), node.shape(1)).result};
  Shape ofmap = node.activation(0, "A");
  ofmap.back() = extents(node)[1];
  return {ofmap};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const Shape weight = extents(node);
  const auto b = node.float_constant(1, "B").values<float>();
  FloatLayer layer;
  MatmulWorkload matmul;
  matmul.window.ifmap_channels = weight[0];
  matmul.window.ofmap_channels = weight[1];
  layer.workload = matmul;
  layer.weights.reserve(b.size());
  for (int64_t m = 0; m < weight[1]; ++m) {
    for (int64_t k = 0; k < weight[0]; ++k) {
      layer.weights.push_back(b[static_cast<size_t>(k * weight[1] + m)]);
    }
  }
  builder.add(node, std::move(layer));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Tensor &a = node.tensor(0, "A"), &b = node.tensor(1, "B");
  const MatmulExtents e = matmul_extents(node, a.shape(), b.shape());
  require_one_type(node, a, b);
  Tensor result = node.output(a.type(), e.result);
  visit_real(node, a, [&](auto stored) {
    using T = decltype(stored);
    const auto first = a.values<T>(), second = b.values<T>();
    const auto to = result.write<T>();
    const auto of_a = e.first(), of_b = e.second();
    size_t at = 0;
    for (size_t product = 0; product < of_a.size(); ++product) {
      const T* left = first.data() + of_a[product] * e.rows * e.length;
      const T* right = second.data() + of_b[product] * e.length * e.cols;
      for (int64_t m = 0; m < e.rows; ++m) {
        for (int64_t n = 0; n < e.cols; ++n) {
          double sum = 0;
          for (int64_t k = 0; k < e.length; ++k) {
            sum += static_cast<double>(left[m * e.length + k]) *
                   static_cast<double>(right[k * e.cols + n]);
          }
          to[at++] = static_cast<T>(sum);
        }
      }
    }
  });
  return {result};
}

}  // namespace

// MatMul: as numpy.matmul, with broadcasting. As a layer: ofmap [N, M] = A [N, K] * constant B
// [K, M]. Source: ONNX operator, opsets 1, 9, 13.
extern const Operator kMatMul;
const Operator kMatMul{"MatMul", {}, 2, 2, infer_shape, evaluate, lower};

}  // namespace widthwise
