#include "models/fuse.h"

#include "models/constant_folding.h"
#include "models/fuse_passes.h"

namespace widthwise {

Graph fuse(Graph graph, FuseFor fuse_for) {
  fold_constants(graph, {.keep_quantized_constants = true});
  separate_qonnx_codes(graph, fuse_for);
  state_zero_points(graph);
  if (fuse_for == FuseFor::kFile) join_double_pairs(graph);
  note_code_formats(graph);
  std::set<std::string> unsigned_values = seen_as_unsigned(graph);
  const std::set<std::string> real_values = sink_dequantize(graph, unsigned_values);
  raise_quantize(graph, fuse_for, unsigned_values);
  fuse_quantized_operators(graph, fuse_for, unsigned_values, real_values);
  if (fuse_for == FuseFor::kFile) round_constants(graph, real_values);
  fuse_dequantized_products(graph);
  fold_constants(graph, {});
  remove_unused(graph);
  check_quantization(graph);
  return graph;
}

}  // namespace widthwise
