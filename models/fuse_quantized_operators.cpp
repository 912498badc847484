#include <algorithm>
#include <cmath>
#include <limits>

#include "models/code_clip.h"
#include "models/fuse_passes.h"
#include "models/graph_editor.h"
#include "models/quantized_product.h"

namespace widthwise {
namespace {

constexpr int kSoftmaxAxisOpset = 13;  // QLinearSoftmax as it is since

// Real limits of a Relu or Clip with constant limits.
struct Limits {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

int64_t code_of(double limit, const CodeQuantization& q) {
  constexpr double kFar = 1e9;
  const float steps = static_cast<float>(limit) / q.scale_value;
  const auto code =
      static_cast<int64_t>(std::nearbyint(std::clamp(static_cast<double>(steps), -kFar, kFar)));
  return std::clamp(code + q.zero_point_value, q.format().min(), q.format().max());
}

class OperatorFuser {
 public:
  OperatorFuser(Graph& graph, FuseFor fuse_for, const std::set<std::string>& unsigned_values,
                const std::set<std::string>& real_values)
      : editor_(graph),
        fuse_for_(fuse_for),
        unsigned_values_(unsigned_values),
        real_values_(real_values) {}

  void run() {
    std::vector<GraphNode> nodes = std::move(editor_.graph().nodes);
    for (GraphNode& node : nodes) {
      editor_.apply_replacements(node);
      if (!fuse_quantize(node) && !fuse_code_clip(node)) editor_.keep(std::move(node));
    }
    editor_.finish();
  }

 private:
  // Walks back from a value over Relu and Clip that nobody else reads; limits are narrowed, and
  // the values of the nodes that were passed are listed. Null if somebody else reads `value` then.
  const GraphNode* skip_limits(std::string& value, Limits& limits,
                               std::vector<std::string>& passed) {
    const GraphNode* node = editor_.only_reader_of(value);
    while (node != nullptr && node->domain == kOnnxDomain) {
      Limits own;
      if (node->op_type == "Relu") {
        own.low = 0;
      } else if (node->op_type == "Clip") {
        if (!clip_limits(*node, own)) return node;
      } else {
        return node;
      }
      limits.low = std::clamp(own.low, limits.low, limits.high);  // the later node decides
      limits.high = std::clamp(own.high, limits.low, limits.high);
      passed.push_back(value);
      value = node->inputs[0];
      node = editor_.only_reader_of(value);
    }
    return node;
  }

  bool clip_limits(const GraphNode& node, Limits& limits) {
    const auto read = [&](size_t i, const char* name, double& limit) {
      if (const auto found = node.attributes.find(name); found != node.attributes.end()) {
        const auto* value = std::get_if<float>(&found->second);
        if (value == nullptr) return false;
        limit = static_cast<double>(*value);
      }
      if (i >= node.inputs.size() || node.inputs[i].empty()) return true;
      const Tensor* value = editor_.constant(node.inputs[i]);
      if (value == nullptr || value->elements() != 1) return false;
      limit = value->real(0);
      return true;
    };
    return read(1, "min", limits.low) && read(2, "max", limits.high) && limits.low <= limits.high;
  }

  bool fuse_quantize(const GraphNode& node) {
    if (node.domain != kOnnxDomain || node.op_type != "QuantizeLinear") return false;
    std::string value = node.inputs.at(0);
    Limits limits;
    std::vector<std::string> passed;
    const GraphNode* real = skip_limits(value, limits, passed);
    if (fuse_for_ == FuseFor::kDatapath && editor_.dequantized(value))
      return fuse_requantize(node, value, limits, passed);
    if (real == nullptr || real->domain != kOnnxDomain || real->outputs.size() != 1) return false;
    const auto output = editor_.quantization(node);
    if (!output) return false;
    const auto with_bias = product_with_bias(*real);
    if (with_bias) {
      passed.push_back(value);
      value = with_bias->outputs[0];
      real = &*with_bias;
    }
    auto fused = quantized(*real, *output);
    if (!fused) return false;
    if (rounds_otherwise(real->op_type) && fuse_for_ == FuseFor::kFile) {
      const bool limited =
          !passed.empty() && (code_of(limits.low, *output) > output->format().min() ||
                              code_of(limits.high, *output) < output->format().max());
      if (limited || !fused_by_onnx_runtime(*real, node.outputs.at(0), *output, *fused))
        return false;
    }
    fused->name = real->name;
    passed.push_back(value);
    keep_instead_of(passed, std::move(*fused), node, limits, *output);
    return true;
  }

  // DequantizeLinear -> [Relu, Clip] -> QuantizeLinear by other numbers: a datapath's requantizer.
  bool fuse_requantize(const GraphNode& node, const std::string& value, const Limits& limits,
                       const std::vector<std::string>& passed) {
    const auto output = editor_.quantization(node);
    GraphNode fused;
    fused.domain = kOwnDomain;
    fused.op_type = "Requantize";
    if (!output || !add_operand(value, fused.inputs)) return false;
    fused.inputs.insert(fused.inputs.end(), {output->scale, output->zero_point});
    const GraphNode* limit = passed.empty() ? nullptr : editor_.writer(passed.back());
    fused.name = limit != nullptr ? limit->name : node.name;
    fused.attributes["operator"] = limit != nullptr ? limit->op_type : "Identity";
    keep_instead_of(passed, std::move(fused), node, limits, *output);
    return true;
  }

  void keep_instead_of(const std::vector<std::string>& values, GraphNode fused,
                       const GraphNode& quantize, const Limits& limits,
                       const CodeQuantization& output) {
    fused.outputs = {quantize.outputs.at(0)};
    const int64_t low = code_of(limits.low, output), high = code_of(limits.high, output);
    if (low > output.format().min()) fused.attributes["q_min"] = low;
    if (high < output.format().max()) fused.attributes["q_max"] = high;
    for (const std::string& gone : values) editor_.take_back(gone);
    editor_.keep(std::move(fused));
  }

  // MatMul -> Add of a constant per column, as one MatMul with a bias; ONNX Runtime makes a Gemm.
  std::optional<GraphNode> product_with_bias(const GraphNode& add) {
    if (add.op_type != "Add" || add.inputs.size() != 2) return std::nullopt;
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const GraphNode* product = editor_.only_reader_of(add.inputs[i]);
      if (product == nullptr || product->op_type != "MatMul" || product->domain != kOnnxDomain ||
          product->inputs.size() != 2)
        continue;
      const Tensor *weight = constant_behind(product->inputs[1]),
                   *bias = constant_behind(add.inputs[1 - i]);
      if (weight == nullptr || bias == nullptr || weight->rank() != 2 ||
          bias->shape() != Shape{weight->shape()[1]})
        continue;
      GraphNode merged = *product;
      merged.inputs.push_back(add.inputs[1 - i]);
      return merged;
    }
    return std::nullopt;
  }

  // A constant, or the constant codes of a dequantized value.
  const Tensor* constant_behind(const std::string& value) const {
    const auto d = editor_.dequantized(value);
    return editor_.constant(d ? d->codes : value);
  }

  std::optional<GraphNode> quantized(const GraphNode& real, const CodeQuantization& output) {
    if (real.op_type == "Conv" || real.op_type == "MatMul" || real.op_type == "Gemm") {
      const bool datapath = fuse_for_ == FuseFor::kDatapath;
      const bool rounded = datapath || !real_values_.contains(real.inputs.at(0));
      const bool weights = !datapath && (real.op_type != "MatMul" || real.inputs.size() > 2);
      return quantized_product(editor_, real,
                               {output.scale, output.zero_point, rounded, rounded && weights});
    }
    GraphNode node;
    node.domain = kMicrosoftDomain;
    node.op_type = "QLinear" + real.op_type;
    node.attributes = real.attributes;
    const std::vector<std::string> result = {output.scale, output.zero_point};
    if (real.op_type == "Concat") {
      node.inputs = result;
      for (const std::string& value : real.inputs) {
        if (!add_operand(value, node.inputs)) return std::nullopt;
      }
      return node;
    }
    const bool two = real.op_type == "Add" || real.op_type == "Mul";
    const bool one = real.op_type == "AveragePool" || real.op_type == "GlobalAveragePool" ||
                     real.op_type == "LeakyRelu" || real.op_type == "Sigmoid";
    const bool softmax = real.op_type == "Softmax" && editor_.graph().opset >= kSoftmaxAxisOpset;
    if (!two && !one && !softmax) return std::nullopt;
    if (softmax) node.attributes["opset"] = int64_t{editor_.graph().opset};
    if (real.op_type == "AveragePool" && real.attributes.contains("dilations")) return std::nullopt;
    for (const std::string& value : real.inputs) {
      if (!add_operand(value, node.inputs)) return std::nullopt;
    }
    node.inputs.insert(node.inputs.end(), result.begin(), result.end());
    return node;
  }

  // Fused and not, these differ on ties: the zero point is added before the rounding, or the mean
  // is taken of integers.
  static bool rounds_otherwise(const std::string& op) {
    return op == "Add" || op == "Mul" || op == "AveragePool" || op == "GlobalAveragePool" ||
           op == "Softmax";
  }

  // ifmaps and ofmap must be of one 8-bit type, as ONNX Runtime sees them. If it sees int8 codes as
  // uint8, the fused node has to compute with them so: code_offset.
  bool fused_by_onnx_runtime(const GraphNode& real, const std::string& codes,
                             const CodeQuantization& output, GraphNode& fused) {
    constexpr int64_t kOffset = 128;
    bool offset = unsigned_values_.contains(codes);
    const IntegerFormat wanted{8, output.format().is_signed && !offset};
    if (output.format().bits != 8) return false;
    for (const std::string& value : real.inputs) {
      const auto d = editor_.dequantized(value);
      if (!d || d->zero_point_tensor == nullptr) return false;
      IntegerFormat seen = *integer_format(d->zero_point_tensor->type());
      const bool shifted = seen.is_signed && unsigned_values_.contains(value);
      seen.is_signed = seen.is_signed && !shifted;
      if (seen != wanted) return false;
      offset = offset || shifted;
    }
    if (offset) fused.attributes["code_offset"] = kOffset;  // of the int8 ones
    return true;
  }

  // Appends codes, scale and zero point of a value that was dequantized with one scale.
  bool add_operand(const std::string& value, std::vector<std::string>& inputs) {
    const auto d = editor_.dequantized(value);
    if (!d || !d->per_tensor() || d->zero_point_tensor == nullptr ||
        integer_format(d->zero_point_tensor->type())->bits > 16)
      return false;
    inputs.insert(inputs.end(), {d->codes, d->scale, d->zero_point});
    return true;
  }

  // Clip of codes that a fused node wrote: its codes have fewer bits than their type.
  bool fuse_code_clip(const GraphNode& node) {
    const auto clip = code_clip(editor_.graph(), node);
    if (!clip) return false;
    const auto before = editor_.graph().formats.find(node.inputs[0]);
    if (before != editor_.graph().formats.end() && before->second.min() >= clip->low &&
        before->second.max() <= clip->high && !editor_.is_output(node.outputs[0])) {
      editor_.replace(node.outputs[0], node.inputs[0]);
      return true;
    }
    const GraphNode* writer = editor_.only_reader_of(node.inputs[0]);
    const bool fused = writer != nullptr &&
                       (writer->op_type.starts_with("Q") || writer->op_type == "Requantize") &&
                       writer->op_type != "QuantizeLinear" && writer->op_type != "QuantCodes";
    if (!fused) return false;
    GraphNode& changed = editor_.writer_to_change(node.inputs[0]);
    changed.attributes["q_min"] =
        std::clamp(attribute_of(changed, "q_min", clip->low), clip->low, clip->high);
    changed.attributes["q_max"] =
        std::clamp(attribute_of(changed, "q_max", clip->high), clip->low, clip->high);
    editor_.rename_output(node.inputs[0], node.outputs[0]);
    return true;
  }

  GraphEditor editor_;
  FuseFor fuse_for_;
  const std::set<std::string>&unsigned_values_, &real_values_;
};

}  // namespace

std::set<std::string> seen_as_unsigned(const Graph& graph) {
  const auto readers = reader_counts(graph);
  const auto alone = [&](const std::string& value) {
    const auto found = readers.find(value);
    return found != readers.end() && found->second == 1;
  };
  std::map<std::string, const GraphNode*> dequantizers;  // by their codes
  for (const GraphNode& node : graph.nodes) {
    if (node.op_type == "DequantizeLinear" && !node.inputs.empty())
      dequantizers[node.inputs[0]] = &node;
  }
  const std::set<std::string> outputs = names_of(graph.outputs);
  std::set<std::string> values;
  for (const GraphNode& node : graph.nodes) {
    if (node.op_type != "QuantizeLinear" || node.domain != kOnnxDomain || node.inputs.size() < 3)
      continue;
    const auto zero_point = graph.initializers.find(node.inputs[2]);
    const auto reader = dequantizers.find(node.outputs.at(0));
    if (zero_point == graph.initializers.end() || reader == dequantizers.end() ||
        zero_point->second.type() != ElementType::kInt8 || !alone(node.outputs[0]) ||
        outputs.contains(node.outputs[0]))
      continue;
    const std::string& real = reader->second->outputs.at(0);
    if (!alone(real) && !outputs.contains(real)) continue;
    values.insert(node.outputs[0]);
    values.insert(real);
  }
  return values;
}

void fuse_quantized_operators(Graph& graph, FuseFor fuse_for,
                              const std::set<std::string>& unsigned_values,
                              const std::set<std::string>& real_values) {
  OperatorFuser(graph, fuse_for, unsigned_values, real_values).run();
}

}  // namespace widthwise
