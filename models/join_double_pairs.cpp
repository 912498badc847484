#include <algorithm>
#include <cmath>

#include "models/fuse_passes.h"
#include "models/graph_editor.h"

namespace widthwise {
namespace {

class PairJoiner {
 public:
  explicit PairJoiner(Graph& graph) : editor_(graph) {
    for (const GraphNode& node : graph.nodes) {
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const bool dequantizes = i == 0 && node.op_type == "DequantizeLinear";
        readers_[node.inputs[i]].push_back(dequantizes ? editor_.quantization(node) : std::nullopt);
      }
    }
  }

  void run() {
    std::vector<GraphNode> nodes = std::move(editor_.graph().nodes);
    for (GraphNode& node : nodes) {
      const auto joined = node.inputs.empty() ? joined_.end() : joined_.find(node.inputs[0]);
      if (joined != joined_.end()) state(node, joined->second);
      editor_.apply_replacements(node);
      if (!join(node)) editor_.keep(std::move(node));
    }
    editor_.finish();
  }

 private:
  static void state(GraphNode& node, const CodeQuantization& q) {
    node.inputs[1] = q.scale;
    node.inputs[2] = q.zero_point;
  }

  // The ranges' intersection, in float32, not named yet; nothing if it is empty.
  static std::optional<CodeQuantization> intersection(const CodeQuantization& a,
                                                      const CodeQuantization& b) {
    const auto least = static_cast<float>(a.format().min()),
               greatest = static_cast<float>(a.format().max());
    const auto low = [&](const CodeQuantization& q) {
      return (least - static_cast<float>(q.zero_point_value)) * q.scale_value;
    };
    const auto high = [&](const CodeQuantization& q) {
      return (greatest - static_cast<float>(q.zero_point_value)) * q.scale_value;
    };
    const float real_min = std::max(low(a), low(b)), real_max = std::min(high(a), high(b));
    const float scale = (real_max - real_min) / (greatest - least);
    const float zero_point = std::round(least - real_min / scale);
    if (!std::isnormal(scale) || scale < 0 || !(zero_point >= least) || !(zero_point <= greatest))
      return std::nullopt;
    return CodeQuantization{.scale = {},
                            .zero_point = {},
                            .scale_value = scale,
                            .zero_point_value = static_cast<int64_t>(zero_point),
                            .type = a.type};
  }

  // Whether every reader of the codes dequantizes them as they were quantized.
  bool only_dequantized(const std::string& codes, const CodeQuantization& q) {
    const auto& readers = readers_[codes];
    return !readers.empty() && std::all_of(readers.begin(), readers.end(), [&](const auto& reader) {
      return reader && reader->same_numbers(q);
    });
  }

  bool join(const GraphNode& second) {
    const auto b = editor_.quantization(second);
    if (second.op_type != "QuantizeLinear" || !b) return false;
    const std::string& codes = second.outputs.at(0);
    if (editor_.is_output(codes) || !only_dequantized(codes, *b)) return false;
    const GraphNode* dequantize = editor_.only_reader_of(second.inputs[0]);
    if (dequantize == nullptr || dequantize->op_type != "DequantizeLinear") return false;
    const std::string first_codes = dequantize->inputs.at(0);
    const GraphNode* first = editor_.only_reader_of(first_codes);
    if (first == nullptr || first->op_type != "QuantizeLinear") return false;
    const auto a = editor_.quantization(*first), between = editor_.quantization(*dequantize);
    constexpr int kByte = 8, kTwoBytes = 16;  // the only ones that ONNX Runtime joins
    const int bits = b->format().bits;
    if (!a || !between || !between->same_numbers(*a) || a->type != b->type ||
        (bits != kByte && bits != kTwoBytes) || a->same_numbers(*b))  // the same go away anyway
      return false;
    auto q = intersection(*a, *b);
    if (!q) return false;
    Tensor zero_point(q->type, {});
    visit_type(q->type, [&](auto stored) {
      using T = decltype(stored);
      zero_point.write<T>()[0] = static_cast<T>(q->zero_point_value);
    });
    q->scale = editor_.add_constant(codes + "_scale", Tensor::scalar(q->scale_value));
    q->zero_point = editor_.add_constant(codes + "_zero_point", std::move(zero_point));
    editor_.take_back(second.inputs[0]);
    state(editor_.writer_to_change(first_codes), *q);
    joined_[codes] = *q;
    editor_.replace(codes, first_codes);
    return true;
  }

  GraphEditor editor_;
  // By the value that is read, as the graph was; nothing for a reader that does not dequantize it.
  std::map<std::string, std::vector<std::optional<CodeQuantization>>> readers_;
  std::map<std::string, CodeQuantization> joined_;  // by codes that are gone
};

}  // namespace

void join_double_pairs(Graph& graph) { PairJoiner(graph).run(); }

}  // namespace widthwise
