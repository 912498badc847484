#pragma once
#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/operator.h"

namespace widthwise {

// One node by itself on bound inputs; nothing for an input that is left out.
struct NodeRunner {
  using Attributes = std::map<std::string, GraphAttribute>;

  NodeRunner(const std::string& domain, const std::string& op_type,
             std::vector<std::optional<Tensor>> bound, Attributes attributes = {}, int opset = 21)
      : inputs(std::move(bound)) {
    graph.file = "test.onnx";
    graph.opset = opset;
    node.name = "n";
    node.op_type = op_type;
    node.domain = domain;
    node.attributes = std::move(attributes);
    node.outputs = {"y"};
    for (size_t i = 0; i < inputs.size(); ++i)
      node.inputs.push_back(inputs[i] ? fmt::format("i{}", i) : "");
  }

  NodeView view() const {
    std::vector<const Tensor*> pointers;
    for (const auto& input : inputs) pointers.push_back(input ? &*input : nullptr);
    return {graph, node, std::move(pointers)};
  }
  std::vector<Tensor> all() const { return evaluate_node(view()); }
  Tensor run() const { return all().at(0); }
  std::vector<int64_t> codes() const { return run().integers(); }
  std::vector<double> reals() const { return run().reals(); }
  const Operator& op() const { return checked_operator(view()); }
  std::vector<IntegerMatmul> matmuls() const { return op().mac->matmuls(view()); }
  // finish() with the arithmetic of a datapath, on given sums.
  std::vector<int64_t> finish(const std::vector<int64_t>& sums,
                              const RequantizeConfig& config) const {
    return op().mac->finish(view(), sums, config).at(0).integers();
  }
  std::vector<int64_t> requantize(const RequantizeConfig& config) const {
    return op().requantize(view(), config).at(0).integers();
  }

  Graph graph;
  GraphNode node;
  std::vector<std::optional<Tensor>> inputs;
};

inline Tensor u8(const Shape& shape, const std::vector<uint8_t>& values) {
  return {ElementType::kUint8, shape, values};
}
inline Tensor i8(const Shape& shape, const std::vector<int8_t>& values) {
  return {ElementType::kInt8, shape, values};
}
inline Tensor i4(const Shape& shape, const std::vector<int8_t>& values) {
  return {ElementType::kInt4, shape, values};
}
inline Tensor i16(const Shape& shape, const std::vector<int16_t>& values) {
  return {ElementType::kInt16, shape, values};
}
inline Tensor i32(const Shape& shape, const std::vector<int32_t>& values) {
  return {ElementType::kInt32, shape, values};
}
inline Tensor real(float value) { return Tensor::scalar(value); }

}  // namespace widthwise
