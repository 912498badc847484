#include <fmt/format.h>

#include "models/lowering.h"
#include "models/operator.h"

namespace widthwise {
namespace {

struct Extents {
  int64_t ifmap, ofmap;  // K and the number of outputs
  bool transposed;       // weight is [ofmap, ifmap], as the workload has it
};

Extents extents(const NodeView& node) {
  const Shape& ifmap = node.activation(0, "A");
  const Shape& weight = node.float_constant(1, "B").shape;
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
  const GraphTensor& c = node.float_constant(2, "C");
  const auto elements = static_cast<int64_t>(c.floats.size());
  const bool fits = c.shape.size() <= 2 && (elements == 1 || elements == ofmap) &&
                    (c.shape.empty() || c.shape.back() == elements);
  if (!fits) {
    node.refuse("C",
                fmt::format("has the shape {}, allowed [{}], [1, {}] or one element",
                            shape_text(c.shape), ofmap, ofmap),
                "give one bias per output");
  }
  std::vector<double> values;
  for (int64_t i = 0; i < ofmap; ++i) {
    values.push_back(static_cast<double>(node.real("beta", 1)) *
                     static_cast<double>(c.floats[static_cast<size_t>(elements == 1 ? 0 : i)]));
  }
  return values;
}

std::vector<Shape> infer_shape(const NodeView& node) {
  const Extents e = extents(node);
  bias(node, e.ofmap);
  return {{1, e.ofmap}};
}

void lower(const NodeView& node, LayerBuilder& builder) {
  const Extents e = extents(node);
  const std::vector<float>& b = node.float_constant(1, "B").floats;
  const double alpha = static_cast<double>(node.real("alpha", 1));
  FloatLayer layer;
  MatmulWorkload matmul;
  matmul.window.ifmap_channels = e.ifmap;
  matmul.window.ofmap_channels = e.ofmap;
  layer.workload = matmul;
  for (int64_t m = 0; m < e.ofmap; ++m) {
    for (int64_t k = 0; k < e.ifmap; ++k) {
      const auto i = static_cast<size_t>(e.transposed ? m * e.ifmap + k : k * e.ofmap + m);
      layer.weights.push_back(static_cast<float>(alpha * static_cast<double>(b[i])));
    }
  }
  for (const double value : bias(node, e.ofmap)) layer.bias.push_back(static_cast<float>(value));
  builder.add(node, std::move(layer));
}

std::vector<Values> reference(const NodeView& node, const std::vector<Values>& inputs) {
  const Extents e = extents(node);
  Values ofmap = bias(node, e.ofmap);
  ofmap.resize(static_cast<size_t>(e.ofmap), 0);
  const double alpha = static_cast<double>(node.real("alpha", 1));
  for (int64_t m = 0; m < e.ofmap; ++m) {
    for (int64_t k = 0; k < e.ifmap; ++k) {
      const int64_t i = e.transposed ? m * e.ifmap + k : k * e.ofmap + m;
      ofmap[static_cast<size_t>(m)] +=
          alpha * inputs[0][static_cast<size_t>(k)] * inputs[1][static_cast<size_t>(i)];
    }
  }
  return {ofmap};
}

}  // namespace

// Gemm: ofmap [N, M] = alpha * A [N, K] * B + beta * C with constant B [K, M] (or [M, K] with
// transB) and C [M]. alpha and beta go into weight and bias, rounded once to float.
// Source: ONNX operator, opsets 7, 9, 11, 13.
extern const Operator kGemm;
const Operator kGemm{"Gemm",   {"alpha", "beta", "transA", "transB"}, 2, 3, infer_shape, lower,
                     reference};

}  // namespace widthwise
