#include <algorithm>

#include "models/fuse_passes.h"
#include "models/graph_editor.h"
#include "models/quantized_product.h"

namespace widthwise {
namespace {

// The real numbers of codes: `axis` has the scales, if they are several.
Tensor reals_of(const Tensor& codes, const Dequantized& d, const std::vector<float>& scales) {
  std::vector<float> reals;
  const size_t inner = static_cast<size_t>(codes.elements()) / scales.size();
  const int64_t zero_point = d.zero_point_tensor->integer(0);
  for (int64_t i = 0; i < codes.elements(); ++i) {
    const float scale = scales[static_cast<size_t>(i) / inner];
    reals.push_back(static_cast<float>(codes.integer(i) - zero_point) * scale);
  }
  return Tensor::floats(codes.shape(), reals);
}

class ConstantRounder {
 public:
  ConstantRounder(Graph& graph, const std::set<std::string>& real_values)
      : editor_(graph), readers_(reader_counts(graph)), real_values_(real_values) {}

  void run() {
    std::vector<GraphNode> nodes = std::move(editor_.graph().nodes);
    for (GraphNode& node : nodes) {
      if (node.op_type == "QuantizeLinear" && node.domain == kOnnxDomain) round_before(node);
      editor_.keep(std::move(node));
    }
    editor_.finish();
  }

 private:
  // Constants of the Conv, ConvTranspose or Gemm that the node quantizes, perhaps behind a Relu or
  // Clip, if no other node reads its result.
  void round_before(const GraphNode& quantize) {
    std::string value = quantize.inputs.at(0);
    const GraphNode* node = nullptr;
    while (read_once(value) && (node = editor_.writer(value)) != nullptr &&
           (node->op_type == "Relu" || node->op_type == "Clip") && node->domain == kOnnxDomain)
      value = node->inputs.at(0);
    if (!read_once(value) || node == nullptr || node->domain != kOnnxDomain ||
        node->inputs.size() < 2)
      return;
    if (node->op_type != "Conv" && node->op_type != "ConvTranspose" && node->op_type != "Gemm")
      return;
    round(editor_.writer_to_change(value));
  }

  bool read_once(const std::string& value) const {
    const auto found = readers_.find(value);
    return found != readers_.end() && found->second - (editor_.is_output(value) ? 1 : 0) == 1;
  }

  void round(GraphNode& node) {
    const auto x = editor_.dequantized(node.inputs[0]);
    auto w = editor_.dequantized(node.inputs[1]);
    if (!x || !x->per_tensor() || real_values_.contains(node.inputs[0])) return;
    const Tensor* real_bias = node.inputs.size() > 2 ? editor_.constant(node.inputs[2]) : nullptr;
    if (real_bias != nullptr && real_bias->rank() != 1) return;
    const bool is_real = !w;
    if (is_real) w = quantized_weight(editor_, node.inputs[1]);
    const Tensor* codes = w ? editor_.constant(w->codes) : nullptr;
    if (codes == nullptr) return;
    if (is_real) {
      const std::vector<float> scale = {w->scale_tensor->values<float>()[0]};
      node.inputs[1] =
          editor_.add_constant(node.inputs[1] + "_rounded", reals_of(*codes, *w, scale));
    }
    if (real_bias == nullptr) return;
    const auto bias = rounded_bias(editor_, node, *x, *w);
    if (!bias) return;
    std::vector<float> scales;
    for (const float scale : w->scale_tensor->values<float>())
      scales.push_back(x->scale_tensor->values<float>()[0] * scale);
    Dequantized integers = *x;
    const Tensor zero(ElementType::kInt32, {});
    integers.zero_point_tensor = &zero;
    node.inputs[2] =
        editor_.add_constant(node.inputs[2] + "_rounded", reals_of(*bias, integers, scales));
  }

  GraphEditor editor_;
  std::map<std::string, int> readers_;
  const std::set<std::string>& real_values_;
};

}  // namespace

void round_constants(Graph& graph, const std::set<std::string>& real_values) {
  ConstantRounder(graph, real_values).run();
}

}  // namespace widthwise
