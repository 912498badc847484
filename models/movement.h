#pragma once
#include <vector>

#include "models/lowering.h"
#include "models/operator.h"

namespace widthwise {

// Operators whose outputs hold elements of input 0 (Concat: of all inputs) and nothing else.
bool moves_elements(const GraphNode& node);

// For every output of a data-movement node: element i is element source[i] of the inputs that are
// moved, laid end to end. The first `moved_inputs` inputs are moved; others are parameters.
using Sources = std::vector<std::vector<int64_t>>;

// Operators whose output holds elements of input 0, too, but the greatest of each window.
bool is_max_pool(const GraphNode& node);

// What ONNX Runtime moves QuantizeLinear and DequantizeLinear past: some of these, and MaxPool.
bool onnx_runtime_passes(const GraphNode& node, int opset);

void lower_movement(const NodeView& node, LayerBuilder& builder, size_t moved_inputs,
                    const Sources& sources);
// The same on bound inputs of one element type, with the outputs' shapes.
std::vector<Tensor> move_tensors(const NodeView& node, size_t moved_inputs, const Sources& sources,
                                 const std::vector<Shape>& shapes);

// 0, 1, 2, ...: a copy of the elements in their order.
std::vector<int64_t> identity_source(int64_t elements);

// Row-major walk through a box: element [i0, i1, ...] of the result is at
// start + i0 * strides[0] + i1 * strides[1] + ... of the source.
std::vector<int64_t> strided_source(int64_t start, const Shape& extents,
                                    const std::vector<int64_t>& strides);
// Distance of neighbours along each axis of a row-major tensor.
std::vector<int64_t> row_major_strides(const Shape& shape);

}  // namespace widthwise
