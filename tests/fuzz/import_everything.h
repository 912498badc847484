#pragma once
#include <optional>
#include <string>

#include "core/error.h"
#include "hwmodel/accelerator.h"
#include "models/fold.h"
#include "models/fuse.h"
#include "models/lowering.h"
#include "models/node_work.h"
#include "models/onnx_import.h"
#include "models/operator.h"
#include "models/shape_inference.h"
#include "quant/quantized_import.h"
#include "reports/graph_report.h"
#include "sim/graph_runner.h"

namespace widthwise {

// What a model passed before it was refused.
struct Imported {
  bool parsed = false, fused = false, reported = false, quantized = false, lowered = false;
  int runs = 0;
};

// Calls f; an InputError is a refusal, and every other exception a bug of ours.
template <class Function>
bool passes(const Function& f) {
  try {
    f();
    return true;
  } catch (const InputError&) {
    return false;
  }
}

// Multiply-accumulates and elements that running the graph once takes, an open batch being 1.
inline double run_work(const Graph& graph) {
  ValueShapes shapes = input_shapes(graph);
  double work = 0;
  for (const auto& [name, shape] : shapes) work += real_elements(shape);
  for (const GraphNode& node : graph.nodes) {
    const NodeView view(graph, node, shapes);
    add_output_shapes(view, shapes);
    std::vector<Shape> outputs;
    for (const std::string& value : node.outputs) {
      if (!value.empty()) outputs.push_back(shapes.at(value));
    }
    work += node_work(view, outputs);
  }
  return work;
}

// Runs a graph on zeros and on ones of the declared shapes, unless it is too large.
inline int run_small(const Graph& graph, const Datapath* datapath) {
  constexpr double kMostWork = 1 << 20;
  const GraphRunner runner(graph, {.datapath = datapath, .count = datapath != nullptr});
  if (run_work(graph) > kMostWork) return 0;
  int runs = 0;
  const ValueShapes shapes = input_shapes(graph);
  for (const int fill : {0, 1}) {
    GraphRunner::Tensors inputs;
    for (const GraphValue& input : used_inputs(graph)) {
      Tensor tensor(input.type, shapes.at(input.name));
      visit_type(input.type, [&](auto stored) {
        using T = decltype(stored);
        for (T& value : tensor.write<T>()) value = static_cast<T>(fill);
      });
      inputs.emplace(input.name, tensor);
    }
    runs += passes([&] { runner.run(inputs); });
  }
  return runs;
}

inline void use_fused(const Graph& graph, FuseFor fuse_for, Imported& imported) {
  const Graph fused = fuse(graph, fuse_for);
  imported.fused = true;
  imported.reported |= passes([&] { graph_report_text(fused, graph_report(fused)); });
  imported.quantized |= passes([&] { import_quantized(fused); });
  passes([&] { imported.runs += run_small(fused, nullptr); });
  if (fuse_for != FuseFor::kDatapath || !is_quantized(fused)) return;
  using Kind = RequantizeConfig::Kind;
  for (const Kind kind : {Kind::kMultiplierShift, Kind::kGemmlowp, Kind::kPowerOfTwo}) {
    Datapath datapath;
    datapath.accumulation = Accumulation{}.with_outermost(24, OverflowPolicy::kSaturate);
    datapath.requantize.kind = kind;
    passes([&] { imported.runs += run_small(fused, &datapath); });
  }
}

// All that is done with a model that a user gives: import, both ways of fusing with their reports,
// quantized layers and runs, and the layers of a float network.
inline Imported import_everything(const std::string& bytes) {
  Imported imported;
  std::optional<Graph> graph;
  imported.parsed = passes([&] { graph = parse_graph(bytes, "fuzz.onnx"); });
  if (!graph) return imported;
  for (const FuseFor fuse_for : {FuseFor::kFile, FuseFor::kDatapath})
    passes([&] { use_fused(*graph, fuse_for, imported); });
  imported.lowered = passes([&] { lower(fold(*graph)); });
  return imported;
}

}  // namespace widthwise
