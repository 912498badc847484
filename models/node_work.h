#pragma once
#include <vector>

#include "models/node_view.h"

namespace widthwise {

// What evaluating a node costs: multiply-accumulates (of windows: taps, padded ones included), and
// elements that are read and written. `outputs` are the shapes that infer_shape gave. For limits;
// real because products of absurd extents fit no integer.
double node_work(const NodeView& node, const std::vector<Shape>& outputs);

// Elements of a shape, absurd ones, too; an empty axis counts as one element, as loops do over the
// others.
double real_elements(const Shape& shape);

}  // namespace widthwise
