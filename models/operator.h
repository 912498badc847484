#pragma once
#include <string>
#include <vector>

#include "models/node_view.h"

namespace widthwise {

class LayerBuilder;

using Values = std::vector<double>;  // a tensor of one image, or a constant, in row-major order

// All that is known of one ONNX operator. NodeView refuses what is not supported.
struct Operator {
  const char* name;
  std::vector<const char*> attributes;  // the known ones; any other is refused
  size_t min_inputs, max_inputs;        // max_inputs 0: any number
  // Checks everything; the shape of every output for a batch of 1.
  std::vector<Shape> (*infer_shape)(const NodeView& node);
  // Adds the node's layers. Called after infer_shape has passed.
  void (*lower)(const NodeView& node, LayerBuilder& builder);
  // Every output of one image by the operator's definition, in double. Inputs as the node has
  // them, constants included; nothing for those left out. Independent of lower().
  std::vector<Values> (*reference)(const NodeView& node, const std::vector<Values>& inputs);
};

// nullptr if there is none of that name.
const Operator* find_operator(const std::string& name);
std::vector<std::string> operator_names();

// The operator of a node with operator, number of inputs and attribute names checked.
const Operator& checked_operator(const NodeView& node);

}  // namespace widthwise
