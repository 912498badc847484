#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "models/operator.h"
#include "tests/models/compare.h"

namespace widthwise {

// One node to be evaluated on tensors. An input that is left out is nullopt.
struct OneNode {
  std::string op_type;
  std::vector<std::optional<Tensor>> inputs;
  std::map<std::string, GraphAttribute> attributes = {};
  int opset = 21;
  size_t outputs = 1;
};

// Its outputs; the shapes that are inferred, from the tensors and from the first one's shape beside
// constants, must be theirs.
inline std::vector<Tensor> evaluate(const OneNode& one) {
  Graph graph;
  graph.file = "test.onnx";
  graph.opset = one.opset;
  GraphNode node{.name = "node",
                 .op_type = one.op_type,
                 .inputs = {},
                 .outputs = {},
                 .attributes = one.attributes};
  std::vector<const Tensor*> bound;
  ValueShapes shapes;
  for (size_t i = 0; i < one.inputs.size(); ++i) {
    const auto& tensor = one.inputs[i];
    node.inputs.push_back(tensor ? fmt::format("i{}", i) : "");
    bound.push_back(tensor ? &*tensor : nullptr);
    if (!tensor) continue;
    if (i == 0) shapes[node.inputs[0]] = tensor->shape();
    if (i != 0) graph.initializers[node.inputs[i]] = *tensor;
  }
  for (size_t i = 0; i < one.outputs; ++i) node.outputs.push_back(fmt::format("o{}", i));
  const NodeView view(graph, node, bound);
  const std::vector<Tensor> outputs = evaluate_node(view);
  const Operator& op = checked_operator(view);
  std::vector<std::vector<Shape>> inferred = {op.infer_shape(view)};
  if (one.op_type != "Range" && one.op_type != "ConstantOfShape")
    inferred.push_back(op.infer_shape(NodeView(graph, node, shapes)));
  for (const auto& all : inferred) {
    EXPECT_LE(outputs.size(), all.size()) << one.op_type;
    for (size_t i = 0; i < std::min(outputs.size(), all.size()); ++i)
      EXPECT_EQ(outputs[i].shape(), all[i]) << one.op_type;
  }
  return outputs;
}
inline Tensor evaluate_one(const OneNode& one) { return evaluate(one).at(0); }
inline std::vector<double> evaluate_reals(const OneNode& one) { return evaluate_one(one).reals(); }
inline std::vector<int64_t> evaluate_integers(const OneNode& one) {
  return evaluate_one(one).integers();
}

inline Tensor floats(const std::vector<float>& values) {
  return Tensor::floats({std::ssize(values)}, values);
}
template <class T>
Tensor integers(ElementType type, const std::vector<T>& values) {
  return {type, {std::ssize(values)}, values};
}
inline Tensor bytes(const std::vector<int8_t>& values) {
  return integers(ElementType::kInt8, values);
}
inline Tensor bools(const std::vector<uint8_t>& values) {
  return integers(ElementType::kBool, values);
}
inline std::vector<int64_t> list(std::initializer_list<int64_t> values) { return values; }

}  // namespace widthwise
