#pragma once
#include "models/node_view.h"

namespace widthwise {

// Shapes of the inputs as declared, an open first extent being 1. Refuses inputs without a shape or
// with other open extents.
ValueShapes input_shapes(const Graph& graph);
// The same with a first extent of 1, whatever is declared.
ValueShapes image_input_shapes(const Graph& graph);

// Checks the node and adds the shapes of its outputs. Throws InputError for absurd ones.
void add_output_shapes(const NodeView& view, ValueShapes& shapes);

// Checks every node and infers the shapes of all values that are no initializers, an open batch
// being 1. Throws InputError that names the node for whatever is not supported, and for more than
// 1e16 multiply-accumulates in all.
ValueShapes infer_shapes(const Graph& graph);

// The same for one image of an image network: the first extent of every value that depends on the
// input is the batch and is 1. Refuses networks that move it.
ValueShapes infer_image_shapes(const Graph& graph);

}  // namespace widthwise
