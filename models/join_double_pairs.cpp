#include <algorithm>
#include <cmath>

#include "models/fuse_passes.h"
#include "models/graph_editor.h"

namespace widthwise {
namespace {

struct Quantization {
  float scale;
  int64_t zero_point;
  ElementType type;
  bool operator==(const Quantization&) const = default;
};

class PairJoiner {
 public:
  explicit PairJoiner(Graph& graph) : editor_(graph) {
    for (const GraphNode& node : graph.nodes) {
      for (const std::string& value : node.inputs) readers_[value].push_back(node);
    }
  }

  void run() {
    std::vector<GraphNode> nodes = std::move(editor_.graph().nodes);
    for (GraphNode& node : nodes) {
      const auto joined = node.inputs.empty() ? joined_.end() : joined_.find(node.inputs[0]);
      if (joined != joined_.end()) std::copy_n(joined->second.begin(), 2, node.inputs.begin() + 1);
      editor_.apply_replacements(node);
      if (!join(node)) editor_.keep(std::move(node));
    }
    editor_.finish();
  }

 private:
  std::optional<Quantization> quantization(const GraphNode& node) const {
    if (node.domain != kOnnxDomain || node.inputs.size() < 3 ||
        node.attributes.contains("block_size"))
      return std::nullopt;
    const Tensor *scale = editor_.constant(node.inputs[1]),
                 *zero_point = editor_.constant(node.inputs[2]);
    if (scale == nullptr || zero_point == nullptr || scale->elements() != 1 ||
        zero_point->elements() != 1 || scale->type() != ElementType::kFloat)
      return std::nullopt;
    const auto format = integer_format(zero_point->type());
    if (!format || (format->bits != 8 && format->bits != 16)) return std::nullopt;
    return Quantization{scale->values<float>()[0], zero_point->integer(0), zero_point->type()};
  }

  // The ranges' intersection, in float32; nothing if it is empty.
  static std::optional<Quantization> intersection(const Quantization& a, const Quantization& b) {
    const IntegerFormat format = *integer_format(a.type);
    const auto low = [&](const Quantization& q) {
      return static_cast<float>(format.min() - q.zero_point) * q.scale;
    };
    const auto high = [&](const Quantization& q) {
      return static_cast<float>(format.max() - q.zero_point) * q.scale;
    };
    const float real_min = std::max(low(a), low(b)), real_max = std::min(high(a), high(b));
    const float scale = (real_max - real_min) / static_cast<float>(format.max() - format.min());
    const float zero_point = std::round(static_cast<float>(format.min()) - real_min / scale);
    if (!std::isnormal(scale) || scale < 0 || !(zero_point >= static_cast<float>(format.min())) ||
        !(zero_point <= static_cast<float>(format.max())))
      return std::nullopt;
    return Quantization{scale, static_cast<int64_t>(zero_point), a.type};
  }

  // Whether every reader of the codes dequantizes them as they were quantized.
  bool only_dequantized(const std::string& codes, const GraphNode& quantize) {
    const auto q = quantization(quantize);
    const std::vector<GraphNode>& readers = readers_[codes];
    return q && !readers.empty() &&
           std::all_of(readers.begin(), readers.end(), [&](const GraphNode& reader) {
             return reader.op_type == "DequantizeLinear" && reader.inputs.at(0) == codes &&
                    quantization(reader) == q;
           });
  }

  bool join(const GraphNode& second) {
    if (second.op_type != "QuantizeLinear") return false;
    const std::string& codes = second.outputs.at(0);
    if (editor_.is_output(codes) || !only_dequantized(codes, second)) return false;
    const GraphNode* dequantize = editor_.only_reader_of(second.inputs.at(0));
    if (dequantize == nullptr || dequantize->op_type != "DequantizeLinear") return false;
    const std::string first_codes = dequantize->inputs.at(0);
    const GraphNode* first = editor_.only_reader_of(first_codes);
    if (first == nullptr || first->op_type != "QuantizeLinear") return false;
    const auto a = quantization(*first), b = quantization(second);
    if (!a || !b || a->type != b->type || quantization(*dequantize) != a) return false;
    if (a == b) return false;  // goes away anyway
    const auto q = intersection(*a, *b);
    if (!q) return false;
    Tensor zero_point(q->type, {});
    visit_type(q->type, [&](auto stored) {
      zero_point.write<decltype(stored)>()[0] = static_cast<decltype(stored)>(q->zero_point);
    });
    const std::vector<std::string> parameters = {
        editor_.add_constant(codes + "_scale", Tensor::scalar(q->scale)),
        editor_.add_constant(codes + "_zero_point", std::move(zero_point))};
    editor_.take_back(second.inputs[0]);
    GraphNode& changed = editor_.writer_to_change(first_codes);
    std::copy_n(parameters.begin(), 2, changed.inputs.begin() + 1);
    joined_[codes] = parameters;
    editor_.replace(codes, first_codes);
    return true;
  }

  GraphEditor editor_;
  std::map<std::string, std::vector<GraphNode>> readers_;   // as the graph was
  std::map<std::string, std::vector<std::string>> joined_;  // codes that are gone: the parameters
};

}  // namespace

void join_double_pairs(Graph& graph) { PairJoiner(graph).run(); }

}  // namespace widthwise
