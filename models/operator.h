#pragma once
#include <string>
#include <vector>

#include "core/requantizer.h"
#include "models/integer_matmul.h"
#include "models/node_view.h"

namespace widthwise {

class LayerBuilder;

// The part of a multiply-accumulate operator on integers that is not accumulation: what runs on a
// datapath between the two functions is the accumulation of the workloads.
struct MacOperator {
  // The reductions of a node whose inputs are bound, in the order of their sums.
  std::vector<IntegerMatmul> (*matmuls)(const NodeView& node);
  // Outputs from the sums of all matmuls, laid end to end. `config` is the arithmetic of the
  // requantizer for operators that have one.
  std::vector<Tensor> (*finish)(const NodeView& node, std::span<const int64_t> sums,
                                const RequantizeConfig& config);
  // Without a datapath, evaluate() is to be used: it computes from the elements, not from sums.
  bool only_on_datapath = false;
};

// All that is known of one operator. NodeView refuses what is not supported.
struct Operator {
  const char* name;
  std::vector<const char*> attributes;  // the known ones; any other is refused
  size_t min_inputs, max_inputs;        // max_inputs 0: any number
  // Checks the node; the shape of every output. Inputs that decide a shape must be constants.
  std::vector<Shape> (*infer_shape)(const NodeView& node);
  // Every output from bound inputs, by the operator's definition: real numbers in the inputs' type
  // (sums in double, rounded once), integers exact.
  std::vector<Tensor> (*evaluate)(const NodeView& node);
  // Adds the layers of a float network. Null where the operator has none: such a node runs, but
  // cannot be quantized. Called after infer_shape has passed for one image.
  void (*lower)(const NodeView& node, LayerBuilder& builder) = nullptr;
  const MacOperator* mac = nullptr;
  const char* domain = kOnnxDomain;
  // The outputs of an operator that only rescales codes, in the arithmetic of a requantizer;
  // evaluate() is that of kFloat32. Null where there is none.
  std::vector<Tensor> (*requantize)(const NodeView& node, const RequantizeConfig& config) = nullptr;
};

// nullptr if there is none of that name.
const Operator* find_operator(const std::string& domain, const std::string& name);
std::vector<std::string> operator_names();

// The operator of a node with operator, number of inputs and attribute names checked.
const Operator& checked_operator(const NodeView& node);

// evaluate() of the node's operator, its shapes checked against kMaxTensorElements first.
std::vector<Tensor> evaluate_node(const NodeView& node);

}  // namespace widthwise
