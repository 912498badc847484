#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/workload.h"

namespace widthwise {

struct FloatTensor {
  std::string name;            // the ONNX value's name
  std::vector<int64_t> shape;  // without the batch
  int64_t elements() const {
    int64_t product = 1;
    for (const int64_t extent : shape) product *= extent;
    return product;
  }
};

// One layer of a float network after lowering: batch normalization is folded into the weights, and
// a ReLU or Clip that alone reads a matmul or element-wise layer is that layer's range.
struct FloatLayer {
  std::string name;           // the ONNX node's name, made unique ("Conv_3" if it has none)
  std::string operator_type;  // the ONNX operator that it came from
  Workload workload;
  std::vector<int> inputs;  // indices into tensors
  int output = -1;
  std::vector<float> weights;  // matmul: [oc, ic / groups, kernel_rows, kernel_cols]
  std::vector<float> bias;     // matmul: [oc], empty if there is none
  float low = -std::numeric_limits<float>::infinity();  // fused ReLU or Clip
  float high = std::numeric_limits<float>::infinity();
};

// A convolution or product with weights of its own; not an average pool.
inline bool has_weights(const FloatLayer& layer) {
  const auto* matmul = std::get_if<MatmulWorkload>(&layer.workload);
  return matmul != nullptr && !matmul->unit_weights;
}
// A ReLU or Clip that is a layer.
inline bool is_clamp(const FloatLayer& layer) {
  const auto* elementwise = std::get_if<ElementwiseWorkload>(&layer.workload);
  return elementwise != nullptr && elementwise->kind == ElementwiseWorkload::Kind::kClamp;
}
inline bool is_relu(const FloatLayer& layer) { return is_clamp(layer) && layer.low == 0; }
// A sum or product of tensors, or their join.
inline bool combines(const FloatLayer& layer) {
  return layer.operator_type == "Concat" ||
         (std::holds_alternative<ElementwiseWorkload>(layer.workload) && !is_clamp(layer));
}
inline bool moves_one_tensor(const FloatLayer& layer) {
  return std::holds_alternative<MoveWorkload>(layer.workload) && layer.inputs.size() == 1;
}
// Data movement that is no module in PyTorch, as joining tensors is.
inline bool only_moves(const FloatLayer& layer) {
  return std::holds_alternative<MoveWorkload>(layer.workload) && layer.operator_type != "Concat";
}

// A float network in execution order; one input, one output.
struct FloatNetwork {
  std::string name;
  std::vector<FloatTensor> tensors;
  std::vector<FloatLayer> layers;
  int input = -1, output = -1;

  const FloatTensor& tensor(int index) const { return tensors[static_cast<size_t>(index)]; }
};

// By tensor, the layers that read it, once for each input; the network's caller, which reads its
// output, counts as layers.size().
inline std::vector<std::vector<size_t>> readers_of(const FloatNetwork& network) {
  std::vector<std::vector<size_t>> readers(network.tensors.size());
  for (size_t i = 0; i < network.layers.size(); ++i) {
    for (const int input : network.layers[i].inputs)
      readers[static_cast<size_t>(input)].push_back(i);
  }
  readers[static_cast<size_t>(network.output)].push_back(network.layers.size());
  return readers;
}

// What data has to fit: one input and one output of a network, without the batch.
struct NetworkEnds {
  std::string name;
  std::vector<int64_t> input;
  int64_t outputs = 0;

  NetworkEnds() = default;
  NetworkEnds(const FloatNetwork& network)  // NOLINT: every float network has them
      : name(network.name),
        input(network.tensor(network.input).shape),
        outputs(network.tensor(network.output).elements()) {}
};

}  // namespace widthwise
