#pragma once
// Graphs that are fused and hold what they held before.
#include "models/fuse.h"
#include "tests/models/compare.h"
#include "tests/models/quantized_builder.h"
#include "tests/models/run_nodes.h"

namespace widthwise {

inline constexpr ElementType u8 = ElementType::kUint8, s8 = ElementType::kInt8,
                             s16 = ElementType::kInt16;
inline const Scales kIfmap = per_tensor(0.05F, 100), kOfmap = per_tensor(0.4F, 120),
                    kWeight = per_tensor(0.01F, 0, s8);

inline std::vector<std::string> ops(const Graph& graph) {
  std::vector<std::string> names;
  for (const GraphNode& node : graph.nodes) names.push_back(node.op_type);
  return names;
}

inline const GraphNode& node_of(const Graph& graph, const std::string& op) {
  for (const GraphNode& node : graph.nodes) {
    if (node.op_type == op) return node;
  }
  throw std::logic_error("no " + op);
}

inline int64_t integer(const GraphNode& node, const std::string& attribute) {
  const auto found = node.attributes.find(attribute);
  return found == node.attributes.end() ? 9999 : std::get<int64_t>(found->second);
}

inline Tensor random_input(const GraphValue& input, unsigned seed) {
  Shape shape = input.shape;
  for (int64_t& extent : shape) extent = extent == GraphValue::kSymbolic ? 2 : extent;
  const std::vector<float> values = random_values(shape_elements(shape), seed);
  Tensor tensor(input.type, shape);
  visit_type(input.type, [&](auto stored) {
    using T = decltype(stored);
    const auto to = tensor.write<T>();
    const auto format = integer_format(input.type);
    for (size_t i = 0; i < to.size(); ++i) {
      const double unit = (static_cast<double>(values[i]) + 1) / 2;
      to[i] = static_cast<T>(format ? static_cast<double>(format->min()) +
                                          unit * static_cast<double>(format->max() - format->min())
                                    : static_cast<double>(values[i]) * 6);
    }
  });
  return tensor;
}

// The fused graph, whose outputs must be those of the graph as it was read: codes within one, real
// numbers within `step` of a code that may differ, and the rounding of float32.
inline Graph fuse_checked(const Graph& graph, FuseFor fuse_for = FuseFor::kFile, double step = 0) {
  Graph fused = fuse(graph, fuse_for);
  NamedTensors inputs;
  unsigned seed = 1;
  for (const GraphValue& input : graph.inputs) inputs[input.name] = random_input(input, ++seed);
  const NamedTensors wanted = run_nodes(graph, inputs), found = run_nodes(fused, inputs);
  for (const GraphValue& output : graph.outputs) {
    const Tensor &w = wanted.at(output.name), &f = found.at(output.name);
    EXPECT_EQ(f.type(), w.type()) << output.name;
    EXPECT_EQ(f.shape(), w.shape()) << output.name;
    double largest = 1e-3;
    for (const double value : w.reals()) largest = std::max(largest, std::abs(value));
    const double tolerance = is_real(w.type()) ? 1.01 * step + 1e-5 * largest : 1;
    int64_t differ = 0;
    for (int64_t i = 0; i < w.elements(); ++i) {
      EXPECT_NEAR(f.real(i), w.real(i), tolerance) << output.name << ", element " << i;
      differ += w.real(i) != f.real(i);
    }
    if (!is_real(w.type())) {
      EXPECT_LE(differ * 20, w.elements() + 19) << output.name << ": ties are rare";
    }
  }
  return fused;
}

}  // namespace widthwise
