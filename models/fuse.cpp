#include "models/fuse.h"

#include "models/constant_folding.h"
#include "models/fuse_passes.h"

namespace widthwise {

Graph fuse(Graph graph, const FuseOptions& options) {
  fold_constants(graph, {.keep_quantized_constants = true});
  separate_qonnx_codes(graph, options);
  note_code_formats(graph);
  sink_dequantize(graph);
  fuse_quantized_operators(graph);
  fuse_dequantized_products(graph);
  fold_constants(graph, {});
  remove_unused(graph);
  return graph;
}

}  // namespace widthwise
