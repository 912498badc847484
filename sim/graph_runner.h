#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodel/accelerator.h"
#include "models/graph.h"
#include "models/node_view.h"
#include "sim/integer_sums.h"

namespace widthwise {

struct GraphRunOptions {
  // Null: sums are exact whatever their width, and requantizers are float32, as ONNX Runtime's.
  const Datapath* datapath = nullptr;
  // Overflowing additions, outputs hit and wrong at every multiply-accumulate node; or a census of
  // each, whose sums are exact (see RunOptions).
  bool count = false;
  bool census = false;
  const KernelTable* kernels = nullptr;  // null: default_kernels()
};

// What a multiply-accumulate node did.
struct MacObservation {
  const GraphNode& node;
  const Shape& shape;                        // of its output
  std::span<const int64_t> sums;             // in the order of its output's elements
  std::span<const int64_t> overflow_counts;  // per sum; empty unless counted
  const OverflowCounts& counts;
};

// The inputs that a node reads, or that are outputs; others need no tensor.
std::vector<GraphValue> used_inputs(const Graph& graph);

// Executes a graph in integer form (see fuse.h) on given tensors: what multiplies and accumulates
// integers runs on the datapath, everything else by the operators' definitions. The graph must
// outlive it. Thread-safe; memory is that of the values that are still to be read.
class GraphRunner {
 public:
  // Throws InputError for operators that are not known, and for a census of stages or policies that
  // it does not cover, before any work is done.
  explicit GraphRunner(const Graph& graph, const GraphRunOptions& options = {});
  ~GraphRunner();

  using Tensors = std::map<std::string, Tensor>;
  // Each may be empty. Called in the order of the nodes.
  struct Observers {
    std::function<void(const std::string& value, const Tensor& tensor)> value;
    std::function<void(const MacObservation& observation)> mac;
    // What was recorded alone, which leaves the sums inside the kernels.
    std::function<void(const GraphNode& node, const LayerRecord& record)> record;
  };
  // Scratch memory of one thread, kept from run to run.
  struct State {
    Workspace workspace;
    CodeTensor ifmap, ofmap;
  };
  // One tensor per used input, of its type and shape (an open extent takes any). Returns
  // every output. Throws InputError, naming the node, for what does not fit.
  Tensors run(const Tensors& inputs, const Observers& observers = {}) const {
    State state;
    return run(inputs, observers, state);
  }
  Tensors run(const Tensors& inputs, const Observers& observers, State& state) const;

  const Graph& graph() const { return graph_; }
  const GraphRunOptions& options() const { return options_; }

 private:
  struct Step;
  std::vector<Tensor> run_step(const Step& step, const std::vector<const Tensor*>& inputs,
                               const Observers& observers, State& state) const;
  std::optional<std::vector<Tensor>> run_sum(const NodeView& view) const;
  std::vector<Tensor> run_mac(const Step& step, const NodeView& view, const Observers& observers,
                              State& state) const;
  std::optional<std::vector<Tensor>> run_layer(const Step& step, const NodeView& view,
                                               const Observers& observers, State& state) const;
  const IntegerAccumulator* accumulator(const Step& step, const IntegerMatmul& matmul, bool keep,
                                        std::unique_ptr<IntegerAccumulator>& own) const;
  void check_operands(const GraphNode& node, const IntegerMatmul& matmul) const;
  Accumulation accumulation(const GraphNode& node) const;
  const KernelTable& kernels() const {
    return options_.kernels != nullptr ? *options_.kernels : default_kernels();
  }
  bool records() const { return options_.count || options_.census; }

  const Graph& graph_;
  GraphRunOptions options_;
  std::vector<GraphValue> inputs_;  // those that count
  std::vector<Step> steps_;
};

}  // namespace widthwise
