#include "sim/graph_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>

#include "core/error.h"
#include "models/operator.h"
#include "models/quantized_operands.h"
#include "models/quantized_sum.h"
#include "quant/quantized_import.h"
#include "sim/kernel.h"
#include "sim/matmul_runner.h"
#include "sim/vector_requantize.h"

namespace widthwise {

namespace {

// A product of codes with constant weights and a quantized output, as a layer of its own, whose
// runner requantizes in vectors. It gives what the node's MacOperator gives.
struct NodeLayer {
  QuantizedNetwork network;
  Datapath datapath;
  std::unique_ptr<LayerRunner> runner;
};

bool holds_all(const IntegerFormat& format, const std::vector<int32_t>& codes) {
  return std::all_of(codes.begin(), codes.end(), [&](int32_t code) { return format.holds(code); });
}

std::unique_ptr<NodeLayer> node_layer(const Graph& graph, const GraphNode& node,
                                      const Tensor& ifmap, const GraphRunOptions& options) {
  Graph alone;
  alone.file = graph.file;
  alone.opset = graph.opset;
  alone.formats = graph.formats;
  alone.nodes = {node};
  Shape shape = ifmap.shape();
  shape[0] = GraphValue::kSymbolic;
  alone.inputs = {{.name = node.inputs[0], .shape = shape, .type = ifmap.type()}};
  alone.outputs = {{.name = node.outputs[0], .shape = {}}};
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const auto constant = graph.initializers.find(node.inputs[i]);
    if (constant != graph.initializers.end()) alone.initializers.insert(*constant);
  }
  auto made = std::make_unique<NodeLayer>();
  RunOptions run;
  run.count = options.count;
  run.census = options.census;
  run.kernels = options.kernels;
  if (options.datapath != nullptr) {
    made->datapath = *options.datapath;
  } else {
    made->datapath.ifmap = made->datapath.weight = {17, true};  // takes every operand
    made->datapath.accumulation = exact_accumulation({});
    made->datapath.requantize.kind = RequantizeConfig::Kind::kFloat32;
  }
  try {
    made->network = import_quantized(alone);
    QuantizedLayer& layer = made->network.layers.at(0);
    const IntegerFormat takes = made->datapath.layer_weight(layer.name);
    if (holds_all(takes, layer.weights)) layer.weight_format = takes;  // judged by its codes
    made->runner = make_layer_runner(made->network, layer, made->datapath, run);
    drop_weights(layer, *made->runner);
  } catch (const InputError&) {
    return nullptr;  // no single layer, or refused: the node says why
  }
  return made;
}

bool has_layer(const NodeView& view) {
  const std::string& op = view.node().op_type;
  return op == "QLinearConv" || op == "QLinearMatMul" ||
         (op == "QGemm" && view.has_input(8) && view.real("alpha", 1) == 1);
}

void copy_codes(const Tensor& tensor, CodeTensor& to) {
  visit_type(tensor.type(), [&](auto stored) {
    const auto values = tensor.values<decltype(stored)>();
    const auto codes = to.write_planes(std::ssize(values));
    std::transform(values.begin(), values.end(), codes.begin(),
                   [](auto value) { return static_cast<int32_t>(value); });
  });
}

}  // namespace

struct GraphRunner::Step {
  const GraphNode* node = nullptr;
  const Operator* op = nullptr;
  std::vector<std::string> last_reads;  // values that nobody reads after this step
  bool constant_weights = false;        // every input but the first is an initializer
  // Packed weights, made by the first run.
  mutable std::unique_ptr<std::mutex> mutex = std::make_unique<std::mutex>();
  mutable std::unique_ptr<IntegerAccumulator> accumulator = nullptr;
  mutable std::unique_ptr<NodeLayer> layer = nullptr;
  mutable bool layer_tried = false;
};

namespace {

void check_input(const Graph& graph, const GraphValue& input, const GraphRunner::Tensors& inputs) {
  const auto refuse = [&](std::string field, std::string problem, std::string fix) {
    throw InputError({.file = graph.file,
                      .where = fmt::format("input '{}'", input.name),
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  };
  const auto found = inputs.find(input.name);
  if (found == inputs.end()) refuse("", "is not given", "give a tensor for every input");
  const Tensor& tensor = found->second;
  if (tensor.type() != input.type) {
    refuse("type",
           fmt::format("is {}, the network reads {}", element_type_name(tensor.type()),
                       element_type_name(input.type)),
           "convert the tensor");
  }
  bool fits = !input.has_shape || tensor.rank() == input.shape.size();
  for (size_t i = 0; fits && i < input.shape.size(); ++i) {
    fits = input.shape[i] == GraphValue::kSymbolic || input.shape[i] == tensor.shape()[i];
  }
  if (!fits) {
    refuse("shape",
           fmt::format("is {}, the network reads {}", shape_text(tensor.shape()),
                       shape_text(input.shape)),
           "give a tensor of that shape; N takes any extent");
  }
}

}  // namespace

GraphRunner::~GraphRunner() = default;

GraphRunner::GraphRunner(const Graph& graph, const GraphRunOptions& options)
    : graph_(graph), options_(options), inputs_(used_inputs(graph)) {
  const ValueShapes none;
  steps_.reserve(graph.nodes.size());
  for (const GraphNode& node : graph.nodes) {
    Step step;
    step.node = &node;
    step.op = &checked_operator(NodeView(graph, node, none));
    if (options.census && step.op->mac != nullptr)
      check_census(accumulation(node), fmt::format("node '{}' ({})", node.name, node.op_type));
    step.constant_weights =
        !node.inputs.empty() &&
        std::all_of(node.inputs.begin() + 1, node.inputs.end(), [&](const std::string& value) {
          return value.empty() || graph.initializers.contains(value);
        });
    steps_.push_back(std::move(step));
  }
  std::map<std::string, size_t> last;
  for (size_t i = 0; i < steps_.size(); ++i) {
    for (const std::string& value : steps_[i].node->inputs) last[value] = i;
    for (const std::string& value : steps_[i].node->outputs) last.emplace(value, i);
  }
  const std::set<std::string> outputs = names_of(graph.outputs);
  for (const auto& [value, step] : last) {
    if (!value.empty() && !outputs.contains(value) && !graph.initializers.contains(value))
      steps_[step].last_reads.push_back(value);
  }
}

std::vector<GraphValue> used_inputs(const Graph& graph) {
  const auto readers = reader_counts(graph);
  std::vector<GraphValue> used;
  for (const GraphValue& input : graph.inputs) {
    if (readers.contains(input.name)) used.push_back(input);
  }
  return used;
}

GraphRunner::Tensors GraphRunner::run(const Tensors& inputs, const Observers& observers,
                                      State& state) const {
  Tensors values;
  for (const GraphValue& input : inputs_) {
    check_input(graph_, input, inputs);
    values[input.name] = inputs.at(input.name);
    if (observers.value) observers.value(input.name, values[input.name]);
  }
  for (const Step& step : steps_) {
    std::vector<const Tensor*> bound;
    for (const std::string& value : step.node->inputs) {
      if (value.empty()) {
        bound.push_back(nullptr);
      } else if (const auto constant = graph_.initializers.find(value);
                 constant != graph_.initializers.end()) {
        bound.push_back(&constant->second);
      } else {
        bound.push_back(&values.at(value));
      }
    }
    std::vector<Tensor> outputs = run_step(step, bound, observers, state);
    for (size_t i = 0; i < step.node->outputs.size(); ++i) {
      const std::string& name = step.node->outputs[i];
      if (name.empty()) continue;
      if (observers.value) observers.value(name, outputs.at(i));
      values[name] = std::move(outputs.at(i));
    }
    for (const std::string& value : step.last_reads) values.erase(value);
  }
  Tensors results;
  for (const GraphValue& output : graph_.outputs) {
    const auto constant = graph_.initializers.find(output.name);
    results[output.name] =
        constant != graph_.initializers.end() ? constant->second : values.at(output.name);
  }
  return results;
}

std::vector<Tensor> GraphRunner::run_step(const Step& step,
                                          const std::vector<const Tensor*>& inputs,
                                          const Observers& observers, State& state) const {
  const NodeView view(graph_, *step.node, inputs);
  const bool on_datapath = options_.datapath != nullptr || records();
  for (size_t i = 1; i < step.node->outputs.size() && step.op->mac != nullptr; ++i) {
    if (!step.node->outputs[i].empty())
      view.refuse(fmt::format("output {} '{}'", i, step.node->outputs[i]), "is not supported",
                  "use the first one only");
  }
  if (step.op->mac != nullptr && (on_datapath || !step.op->mac->only_on_datapath))
    return run_mac(step, view, observers, state);
  if (step.node->op_type == "QLinearAdd") {
    if (auto sum = run_sum(view)) return *sum;
  }
  if (options_.datapath != nullptr && step.op->requantize != nullptr)
    return step.op->requantize(view, options_.datapath->requantize);
  return evaluate_node(view);
}

// Nothing where the operator's own way is to be taken: broadcasts, and what it refuses.
std::optional<std::vector<Tensor>> GraphRunner::run_sum(const NodeView& view) const {
  const std::vector<Shape> shapes = checked_operator(view).infer_shape(view);
  const QuantizedSum sum = quantized_sum(view);
  const Tensor &first = sum.first.codes.tensor, &second = sum.second.codes.tensor;
  if (first.shape() != second.shape()) return std::nullopt;
  const auto quantization = [](const QuantizedSum::Operand& operand) {
    return TensorQuantization{.format = operand.codes.format,
                              .scale = operand.codes.scale,
                              .zero_point = operand.codes.zero_point};
  };
  const auto codes = [](const QuantizedSum::Operand& operand) {
    std::vector<int32_t> all = codes_of(operand.codes.tensor);
    if (operand.up != 0) {
      for (int32_t& code : all) code += operand.up;
    }
    return all;
  };
  try {
    const RowRequantizer add(
        options_.datapath != nullptr ? options_.datapath->requantize : kOnnxRuntimeArithmetic,
        {quantization(sum.first), quantization(sum.second)},
        {.format = {}, .scale = sum.output.scale, .zero_point = sum.output.zero_point},
        sum.output.q_min, sum.output.q_max, kernels());
    std::vector<int32_t> result = codes(sum.first);
    add.run(result.data(), codes(sum.second).data(), std::ssize(result), result.data());
    if (sum.up != 0) {
      for (int32_t& code : result) code -= sum.up;
    }
    return std::vector<Tensor>{code_tensor(view, sum.output.type, shapes.at(0), result)};
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

std::vector<Tensor> GraphRunner::run_mac(const Step& step, const NodeView& view,
                                         const Observers& observers, State& state) const {
  const std::vector<Shape> shapes = step.op->infer_shape(view);  // checks the node
  if (!observers.mac && step.constant_weights && has_layer(view)) {
    if (auto outputs = run_layer(step, view, observers, state)) return *outputs;
  }
  const std::vector<IntegerMatmul> matmuls = step.op->mac->matmuls(view);
  IntegerSums all;
  for (const IntegerMatmul& matmul : matmuls) {
    if (const int64_t length = matmul.workload.reduction_length(); length > kMostProducts)
      view.refuse("reduction",
                  fmt::format("is {} products long, allowed {}", length, kMostProducts),
                  "split it: longer sums are not exact in 64 bits");
    if (options_.census && matmul.bias != matmuls[0].bias)
      view.refuse("bias", "is another one for every row, a census knows one per output channel",
                  "add it by an operator of its own");
    if (options_.datapath != nullptr) check_operands(*step.node, matmul);
    std::unique_ptr<IntegerAccumulator> own;
    const bool keep = step.constant_weights && matmuls.size() == 1;
    IntegerSums sums = accumulator(step, matmul, keep, own)->run(matmul, state.workspace);
    if (matmuls.size() == 1) {
      all = std::move(sums);
      break;
    }
    all.values.insert(all.values.end(), sums.values.begin(), sums.values.end());
    all.overflow_counts.insert(all.overflow_counts.end(), sums.overflow_counts.begin(),
                               sums.overflow_counts.end());
    all.record.merge(sums.record);
  }
  if (observers.record) observers.record(*step.node, all.record);
  if (observers.mac)
    observers.mac({*step.node, shapes.at(0), all.values, all.overflow_counts, all.record.counts});
  constexpr RequantizeConfig kFloat32{.kind = RequantizeConfig::Kind::kFloat32};
  return step.op->mac->finish(
      view, all.values, options_.datapath != nullptr ? options_.datapath->requantize : kFloat32);
}

Accumulation GraphRunner::accumulation(const GraphNode& node) const {
  return options_.datapath != nullptr ? options_.datapath->layer_accumulation(node.name)
                                      : exact_accumulation({});
}

const IntegerAccumulator* GraphRunner::accumulator(const Step& step, const IntegerMatmul& matmul,
                                                   bool keep,
                                                   std::unique_ptr<IntegerAccumulator>& own) const {
  const auto make = [&] {
    using Record = IntegerAccumulator::Record;
    if (options_.datapath == nullptr && !records())
      return std::make_unique<IntegerAccumulator>(matmul, kernels());
    const Record record = options_.census  ? Record::kCensus
                          : options_.count ? Record::kCounts
                                           : Record::kNothing;
    return std::make_unique<IntegerAccumulator>(matmul, accumulation(*step.node), record,
                                                kernels());
  };
  if (!keep) {
    own = make();
    return own.get();
  }
  const std::lock_guard lock(*step.mutex);
  if (!step.accumulator) step.accumulator = make();
  if (step.accumulator->suits(matmul)) return step.accumulator.get();
  own = make();
  return own.get();
}

std::optional<std::vector<Tensor>> GraphRunner::run_layer(const Step& step, const NodeView& view,
                                                          const Observers& observers,
                                                          State& state) const {
  const Tensor& ifmap = view.tensor(0, "ifmap");
  if (ifmap.rank() < 2) return std::nullopt;
  {
    const std::lock_guard lock(*step.mutex);
    if (!step.layer_tried) step.layer = node_layer(graph_, *step.node, ifmap, options_);
    step.layer_tried = true;
  }
  if (!step.layer) return std::nullopt;
  const QuantizedNetwork& network = step.layer->network;
  const Shape image(ifmap.shape().begin() + 1, ifmap.shape().end());
  if (network.tensor(network.input).shape != image) return std::nullopt;
  const QuantizedTensor& ofmap = network.tensor(network.output);
  const int64_t images = ifmap.shape()[0];
  copy_codes(ifmap, state.ifmap);
  LayerRecord record = step.layer->runner->empty_record();
  step.layer->runner->run({&state.ifmap}, state.ofmap, images, state.workspace, record);
  if (observers.record) observers.record(*step.node, record);
  Shape shape = ofmap.shape;
  shape.insert(shape.begin(), images);
  const auto operands = quantized_operands(*step.node);
  Tensor result =
      view.output(view.tensor(operands->ofmap->zero_point, "y_zero_point").type(), shape);
  visit_type(result.type(), [&](auto stored) {
    using T = decltype(stored);
    T* const to = result.write<T>().data();
    const int32_t* const from = state.ofmap.planes(state.workspace.planes).data();
    const auto count = static_cast<size_t>(result.elements());
    for (size_t i = 0; i < count; ++i) to[i] = static_cast<T>(from[i]);
  });
  return std::vector<Tensor>{result};
}

// Weights are judged by their codes, the ifmap by its stated bits or else its type.
void GraphRunner::check_operands(const GraphNode& node, const IntegerMatmul& matmul) const {
  const auto refuse = [&](const std::string& field, const std::string& has,
                          const IntegerFormat& takes) {
    throw InputError(
        {.file = graph_.file,
         .where = fmt::format("node '{}' ({})", node.name, node.op_type),
         .field = field,
         .problem = fmt::format("is {}, the datapath takes {}", has, takes.name()),
         .fix = "quantize for this accelerator, or state the layer's bits under datapath.layers"});
  };
  const auto stated = graph_.formats.find(node.inputs.at(0));
  const IntegerFormat ifmap = stated != graph_.formats.end() ? stated->second : matmul.ifmap_format;
  const IntegerFormat takes = options_.datapath->layer_ifmap(node.name);
  if (!takes.holds(ifmap)) refuse("ifmap", ifmap.name(), takes);
  if (matmul.workload.unit_weights) return;
  const IntegerFormat weight = options_.datapath->layer_weight(node.name);
  for (const int32_t code : matmul.weights) {
    if (!weight.holds(code)) refuse("weight", fmt::format("a code of {}", code), weight);
  }
}

}  // namespace widthwise
