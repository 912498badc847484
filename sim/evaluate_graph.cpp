#include <fmt/format.h>
#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <chrono>
#include <mutex>

#include "core/error.h"
#include "models/movement.h"
#include "models/quantized_operands.h"
#include "models/shape_inference.h"
#include "sim/evaluate.h"

namespace widthwise {
namespace {

constexpr int64_t kBatch = 16;  // of an open batch

// What the multiply-accumulate nodes recorded, in the order of the graph's nodes.
class Records {
 public:
  explicit Records(const Graph& graph) {
    for (const GraphNode& node : graph.nodes) order_.push_back(&node);
  }
  void add(const GraphNode& node, const LayerRecord& record) {
    const std::lock_guard lock(mutex_);
    records_[&node].merge(record);
  }
  // Takes `part` of `whole` away.
  void remove(const GraphNode& node, const OverflowCounts& counts, int64_t part, int64_t whole) {
    const auto share = [&](int64_t count) { return -count * part / whole; };
    add(node, {.census = {},
               .counts = {.additions_overflowed = share(counts.additions_overflowed),
                          .outputs = share(counts.outputs),
                          .outputs_hit = share(counts.outputs_hit),
                          .outputs_wrong = share(counts.outputs_wrong)}});
  }
  std::vector<LayerRecord> records() const {
    std::vector<LayerRecord> records;
    for (const GraphNode* node : order_) {
      const auto found = records_.find(node);
      if (found != records_.end()) records.push_back(found->second);
    }
    return records;
  }

 private:
  std::vector<const GraphNode*> order_;
  std::map<const GraphNode*, LayerRecord> records_;
  std::mutex mutex_;
};

// The scale of an output of codes, by which its loss is that of real numbers; a zero point does not
// show in it. 1 for real outputs, and where nothing says it.
float output_scale(const Graph& graph) {
  std::string value = graph.outputs.at(0).name;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::find(node->outputs.begin(), node->outputs.end(), value) == node->outputs.end())
      continue;
    if (moves_elements(*node) || node->op_type == "Clip") {
      value = node->inputs.at(0);
      continue;
    }
    const auto operands = quantized_operands(*node);
    if (!operands || !operands->ofmap || operands->ofmap->scale >= node->inputs.size()) return 1;
    const auto scale = graph.initializers.find(node->inputs[operands->ofmap->scale]);
    const bool one = scale != graph.initializers.end() && scale->second.elements() == 1;
    return one ? static_cast<float>(scale->second.real(0)) : 1;
  }
  return 1;
}

}  // namespace

NetworkEnds network_ends(const Graph& graph) {
  const auto refuse = [&](std::string where, std::string problem, std::string fix) {
    throw InputError({.file = graph.file,
                      .where = std::move(where),
                      .field = "",
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  };
  if (graph.inputs.size() != 1)
    refuse("graph", fmt::format("has {} inputs, a data set gives one", graph.inputs.size()),
           "keep one input, or run the network on tensors");
  const GraphValue& input = graph.inputs[0];
  if (input.type != ElementType::kFloat || input.shape.size() < 2)
    refuse(fmt::format("input '{}'", input.name),
           fmt::format("is {} {}, a data set gives float with a batch axis",
                       element_type_name(input.type), shape_text(input.shape)),
           "run the network on tensors");
  NetworkEnds ends;
  ends.name = graph.name;
  ends.input = {input.shape.begin() + 1, input.shape.end()};
  const auto shapes = infer_shapes(graph);
  const auto found = shapes.find(graph.outputs.at(0).name);
  if (found == shapes.end())
    refuse(fmt::format("output '{}'", graph.outputs[0].name), "does not depend on the input",
           "name an output that is computed from the input");
  const Shape& output = found->second;
  const int64_t batch = input.shape[0] == GraphValue::kSymbolic ? 1 : input.shape[0];
  if (output.empty() || output[0] != batch || batch < 1)
    refuse(fmt::format("output '{}'", graph.outputs[0].name),
           fmt::format("has the shape {}, its first axis must be the batch", shape_text(output)),
           "export the network with the batch first");
  ends.outputs = shape_elements(output) / batch;
  return ends;
}

Evaluation evaluate_graph(const GraphRunner& runner, const DataSet& data, Progress& progress,
                          const OutputVisitor& visit) {
  const auto started = std::chrono::steady_clock::now();
  const Graph& graph = runner.graph();
  const NetworkEnds ends = network_ends(graph);
  const GraphValue& input = graph.inputs[0];
  const float scale = output_scale(graph);
  const bool fixed = input.shape[0] != GraphValue::kSymbolic;
  const int64_t batch = fixed ? input.shape[0] : kBatch;
  const int64_t elements = data.input_elements(), images = data.count();
  std::vector<ImageScore> scores(static_cast<size_t>(images));
  const int64_t batches = (images + batch - 1) / batch, filled = batches * batch - images;
  if (fixed && runner.options().census && filled > 0) {
    throw InputError({.file = data.file(),
                      .where = "",
                      .field = "images",
                      .problem = fmt::format("are {}, the network runs {} at a time, and a census "
                                             "takes whole batches",
                                             images, batch),
                      .fix = fmt::format("take a multiple of {}, or export the network with an "
                                         "open batch",
                                         batch)});
  }
  Records records(graph);
  GraphRunner::Observers observers;
  observers.record = [&](const GraphNode& node, const LayerRecord& seen) {
    records.add(node, seen);
    progress.advance(0);  // a batch of a large network takes long
  };

  tbb::enumerable_thread_specific<GraphRunner::State> states;
  tbb::parallel_for(tbb::blocked_range<int64_t>(0, batches, 1), [&](const auto& range) {
    std::vector<float> outputs, logits;
    for (int64_t b = range.begin(); b < range.end(); ++b) {
      const int64_t first = b * batch, count = std::min(batch, images - first);
      Shape shape = input.shape;
      shape[0] = fixed ? batch : count;
      Tensor tensor(ElementType::kFloat, shape);
      const auto values = tensor.write<float>();
      data.read(first, count, values.first(static_cast<size_t>(count * elements)));
      for (int64_t i = count; i < shape[0]; ++i) {
        std::copy_n(values.begin() + (count - 1) * elements, elements,
                    values.begin() + i * elements);
      }
      const auto results = runner.run({{input.name, tensor}}, observers, states.local());
      const Tensor& result = results.at(graph.outputs[0].name);
      if (result.elements() != shape[0] * ends.outputs) {
        throw InputError(
            {.file = graph.file,
             .where = fmt::format("output '{}'", graph.outputs[0].name),
             .field = "shape",
             .problem = fmt::format("is {} for a batch of {}, needed are {} per image",
                                    shape_text(result.shape()), shape[0], ends.outputs),
             .fix = "export the network with the batch as its first axis"});
      }
      outputs.resize(static_cast<size_t>(count * ends.outputs));
      for (size_t i = 0; i < outputs.size(); ++i)
        outputs[i] = static_cast<float>(result.real(static_cast<int64_t>(i)));
      for (int64_t i = 0; i < count; ++i) {
        const auto at = static_cast<size_t>(first + i);
        const int32_t label = data.labels().empty() ? 0 : data.labels()[at];
        const float* from = outputs.data() + i * ends.outputs;
        logits.assign(from, from + ends.outputs);
        for (float& logit : logits) logit *= scale;
        scores[at] = score_image(logits, label);
      }
      if (visit) visit(first, count, outputs);
      progress.advance(count);
    }
  });

  // The copies of the last image that filled the last batch up do not count.
  if (fixed && filled > 0) {
    Tensor tensor(ElementType::kFloat, input.shape);
    const auto values = tensor.write<float>();
    for (int64_t i = 0; i < batch; ++i) {
      data.read(images - 1, 1,
                values.subspan(static_cast<size_t>(i * elements), static_cast<size_t>(elements)));
    }
    observers.record = [&](const GraphNode& node, const LayerRecord& seen) {
      records.remove(node, seen.counts, filled, batch);
    };
    runner.run({{input.name, tensor}}, observers, states.local());
  }

  Evaluation evaluation = summarize(scores);
  evaluation.records = records.records();
  evaluation.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return evaluation;
}

}  // namespace widthwise
