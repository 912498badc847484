#pragma once
#include "models/graph.h"

namespace widthwise {

struct FoldOptions {
  // The graph is one of images, whose batch counts as 1: Shape of an activation is a constant.
  bool one_image = false;
  // DequantizeLinear, Quant and BipolarQuant of constants stay: they say how weights are quantized.
  bool keep_quantized_constants = false;
};

// Turns Constant nodes, and nodes that read constants only, into initializers, and removes copies
// (see ops/copy.h) by renaming. Throws InputError for what is not supported, and with one_image for
// a constant output, and for constants that would take far more memory or time than what the file
// stores.
void fold_constants(Graph& graph, const FoldOptions& options);

// Removes nodes that no output depends on and initializers that nobody reads.
void remove_unused(Graph& graph);

}  // namespace widthwise
