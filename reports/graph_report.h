#pragma once
#include "models/graph.h"
#include "reports/layer_report.h"

namespace widthwise {

// One entry per node of a graph in integer form (see models/fuse.h), an open batch being 1:
//   name, operator, ifmap_shapes, ofmap_shape (with the batch)
//   groups, k, macs, parameters           of products
//   ifmap, weight, ofmap                  of operands that are codes: bits, signed, scale,
//                                         zero_point; weight: scales, zero_points, one or one per
//                                         output channel
// macs counts padded taps; parameters are weights and biases. Throws InputError that names the node
// whose shape is not known before it runs.
Json graph_report(const Graph& graph);

// The sum of a number over its entries, of those that have it.
int64_t report_total(const Json& layers, const char* key);

// The same as a table for a terminal.
std::string graph_report_text(const Graph& graph, const Json& layers);

}  // namespace widthwise
