#include <fmt/format.h>

#include "models/evaluation.h"
#include "models/lowering.h"
#include "models/operator.h"

namespace widthwise {
namespace {

struct Extents {
  int64_t ifmap, ofmap;  // K and the number of outputs
  bool transposed;       // weight is [ofmap, ifmap], as the workload has it
};

// As a layer.
Extents extents(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "A");
  const Shape& weight = node.float_constant(1, "B").shape();
  node.require("transA", 0, "transpose B instead: A's first axis must be the batch");
  const int64_t transposed = node.integer("transB", 0);
  if (transposed != 0 && transposed != 1)
    node.refuse("transB", fmt::format("is {}, allowed 0 or 1", transposed), "correct it");
  if (ifmap.size() != 2 || weight.size() != 2 || weight[transposed != 0 ? 1 : 0] != ifmap[1]) {
    node.refuse("shapes",
                fmt::format("{} and {} do not fit, needed [N, K] and {}", shape_text(ifmap),
                            shape_text(weight), transposed != 0 ? "[M, K]" : "[K, M]"),
                "put a Flatten before it, or export the network again");
  }
  return {ifmap[1], weight[transposed != 0 ? 0 : 1], transposed != 0};
}

// beta * C for every output: C broadcasts to [1, M].
std::vector<double> bias(const NodeView& node, int64_t ofmap) {
  if (!node.has_input(2)) return {};
  const Tensor& c = node.float_constant(2, "C");
  const int64_t elements = c.elements();
  const bool fits = c.rank() <= 2 && (elements == 1 || elements == ofmap) &&
                    (c.shape().empty() || c.shape().back() == elements);
  if (!fits) {
    node.refuse("C",
                fmt::format("has the shape {}, allowed [{}], [1, {}] or one element",
                            shape_text(c.shape()), ofmap, ofmap),
                "give one bias per output");
  }
  std::vector<double> values;
  for (int64_t i = 0; i < ofmap; ++i) {
    values.push_back(static_cast<double>(node.real("beta", 1)) * c.real(elements == 1 ? 0 : i));
  }
  return values;
}

// [M, N] of the general product; refuses shapes that do not fit.
Shape product_shape(const NodeView& node) {
  const Shape &a = node.shape(0), &b = node.shape(1);
  const size_t ta = node.integer("transA", 0) != 0, tb = node.integer("transB", 0) != 0;
  if (a.size() != 2 || b.size() != 2 || a[1 - ta] != b[tb]) {
    node.refuse("shapes", fmt::format("{} and {} do not fit", shape_text(a), shape_text(b)),
                "export the network again");
  }
  const Shape shape = {a[ta], b[1 - tb]};
  if (node.has_input(2) && broadcast_shape(node, node.shape(2), shape) != shape) {
    node.refuse("C",
                fmt::format("has the shape {}, which does not broadcast to {}",
                            shape_text(node.shape(2)), shape_text(shape)),
                "give one bias per output");
  }
  return shape;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  if (!node.one_image()) return {product_shape(node)};
  const Extents e = extents(node);
  bias(node, e.ofmap);
  return {{1, e.ofmap}};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const Extents e = extents(node);
  const auto b = node.float_constant(1, "B").values<float>();
  const double alpha = static_cast<double>(node.real("alpha", 1));
  FloatLayer layer;
  MatmulWorkload matmul;
  matmul.window.ifmap_channels = e.ifmap;
  matmul.window.ofmap_channels = e.ofmap;
  layer.workload = matmul;
  layer.weights.reserve(b.size());
  for (int64_t m = 0; m < e.ofmap; ++m) {
    for (int64_t k = 0; k < e.ifmap; ++k) {
      const auto i = static_cast<size_t>(e.transposed ? m * e.ifmap + k : k * e.ofmap + m);
      layer.weights.push_back(static_cast<float>(alpha * static_cast<double>(b[i])));
    }
  }
  for (const double value : bias(node, e.ofmap)) layer.bias.push_back(static_cast<float>(value));
  builder.add(node, std::move(layer));
}

std::vector<Tensor> evaluate(const NodeView& node) {
  const Tensor &a = node.tensor(0, "A"), &b = node.tensor(1, "B");
  const Shape shape = product_shape(node);
  const bool ta = node.integer("transA", 0) != 0, tb = node.integer("transB", 0) != 0;
  const int64_t length = a.shape()[ta ? 0 : 1], rows = shape[0], cols = shape[1];
  const double alpha = static_cast<double>(node.real("alpha", 1)),
               beta = static_cast<double>(node.real("beta", 1));
  require_one_type(node, a, b);
  if (node.has_input(2)) require_one_type(node, a, node.tensor(2, "C"));
  Tensor result = node.output(a.type(), shape);
  visit_real(node, a, [&](auto stored) {
    using T = decltype(stored);
    const auto first = a.values<T>(), second = b.values<T>();
    const auto to = result.write<T>();
    std::vector<int64_t> c;
    if (node.has_input(2)) c = broadcast_source(node.shape(2), shape);
    for (int64_t m = 0; m < rows; ++m) {
      for (int64_t n = 0; n < cols; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < length; ++k) {
          sum +=
              static_cast<double>(first[static_cast<size_t>(ta ? k * rows + m : m * length + k)]) *
              static_cast<double>(second[static_cast<size_t>(tb ? n * length + k : k * cols + n)]);
        }
        sum *= alpha;
        const auto at = static_cast<size_t>(m * cols + n);
        if (!c.empty()) sum += beta * node.tensor(2, "C").real(c[at]);
        to[at] = static_cast<T>(sum);
      }
    }
  });
  return {result};
}

}  // namespace

// Gemm: alpha * A * B + beta * C, A and B transposed on request, C broadcast. As a layer: ofmap
// [N, M] from A [N, K], constant B [K, M] (or [M, K] with transB) and C [M]; alpha and beta go into
// weight and bias, rounded once to float. Source: ONNX operator, opsets 7, 9, 11, 13.
extern const Operator kGemm;
const Operator kGemm{"Gemm", {"alpha", "beta", "transA", "transB"}, 2, 3, infer_shape, evaluate,
                     lower};

}  // namespace widthwise
