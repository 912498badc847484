#include "reports/graph_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/operator.h"
#include "models/quantized_operands.h"
#include "models/shape_inference.h"
#include "reports/text_table.h"

namespace widthwise {
namespace {

class NodeReport {
 public:
  NodeReport(const Graph& graph, const NodeView& view, const ValueShapes& shapes)
      : graph_(graph), view_(view), shapes_(shapes), node_(view.node()) {}

  Json json() const {
    Json inputs = Json::array();
    for (size_t i = 0; i < node_.inputs.size(); ++i) {
      if (view_.has_input(i) && view_.constant(i) == nullptr) inputs.push_back(view_.shape(i));
    }
    Json json = {{"name", node_.name}, {"operator", operator_name()}, {"ifmap_shapes", inputs}};
    const auto shape = shapes_.find(node_.outputs.at(0));
    if (shape != shapes_.end()) json["ofmap_shape"] = shape->second;
    if (checked_operator(view_).mac != nullptr) {
      add_integer_product(json);
    } else if (node_.domain == kOnnxDomain &&
               (node_.op_type == "Conv" || node_.op_type == "Gemm" || node_.op_type == "MatMul")) {
      add_real_product(json);
    }
    if (const auto operands = quantized_operands(node_)) add_operands(json, *operands);
    return json;
  }

 private:
  std::string operator_name() const {
    return node_.domain.empty() ? node_.op_type : node_.domain + "." + node_.op_type;
  }

  void add_integer_product(Json& json) const {
    int64_t macs = 0, parameters = 0;
    const auto matmuls = static_matmuls(view_);
    for (const IntegerMatmul& matmul : matmuls) macs += matmul.images * matmul.workload.macs();
    if (matmuls.empty()) return;
    const MatmulWorkload& first = matmuls[0].workload;
    const auto operands = quantized_operands(node_);
    if (operands && operands->weight && view_.constant(operands->weight->codes) != nullptr) {
      parameters = view_.constant(operands->weight->codes)->elements();
      if (view_.has_input(operands->bias))
        parameters += shape_elements(view_.shape(operands->bias));
    }
    json["groups"] = first.groups;
    json["k"] = first.reduction_length();
    json["macs"] = macs;
    json["parameters"] = parameters;
  }

  void add_real_product(Json& json) const {
    const Shape& weight = view_.shape(1);
    const int64_t outputs = shape_elements(shapes_.at(node_.outputs[0]));
    const bool conv = node_.op_type == "Conv";
    const bool transposed = view_.integer("transB", 0) != 0;  // of a Gemm
    const int64_t length = conv                ? shape_elements({weight.begin() + 1, weight.end()})
                           : weight.size() < 2 ? weight.at(0)
                                               : weight.at(weight.size() - (transposed ? 1 : 2));
    int64_t parameters = 0;
    for (size_t i = 1; i < node_.inputs.size(); ++i) {
      if (view_.constant(i) != nullptr) parameters += view_.constant(i)->elements();
    }
    json["groups"] = view_.integer("group", 1);
    json["k"] = length;
    json["macs"] = outputs * length;
    json["parameters"] = parameters;
  }

  // Bits of a value of codes: as stated, or its type's, or those of who writes it.
  IntegerFormat format(const std::string& value, const Tensor* typed) const {
    if (const auto stated = graph_.formats.find(value); stated != graph_.formats.end())
      return stated->second;
    std::optional<IntegerFormat> own;
    if (typed != nullptr) own = integer_format(typed->type());
    for (const GraphValue& input : graph_.inputs) {
      if (!own && input.name == value) own = integer_format(input.type);
    }
    for (const GraphNode& node : graph_.nodes) {
      if (own || node.outputs[0] != value || node.op_type != "QuantizeLinear") continue;
      const auto zero_point = node.inputs.size() > 2 ? graph_.initializers.find(node.inputs[2])
                                                     : graph_.initializers.end();
      if (zero_point != graph_.initializers.end()) own = integer_format(zero_point->second.type());
    }
    return own.value_or(IntegerFormat{8, false});  // ONNX's, where nothing else is said
  }

  static Json numbers(const Tensor& tensor) {
    Json list = Json::array();
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      if (is_real(tensor.type())) {
        list.push_back(tensor.real(i));
      } else {
        list.push_back(tensor.integer(i));
      }
    }
    return list;
  }

  const Tensor* input(size_t i) const {
    return i == OperandInputs::kNone ? nullptr : view_.constant(i);
  }

  Json operand_json(const OperandInputs& operand, bool weight) const {
    const std::string& value = operand.codes == OperandInputs::kNone
                                   ? node_.outputs.at(0)
                                   : node_.inputs.at(operand.codes);
    const Tensor *scale = input(operand.scale), *zero_point = input(operand.zero_point);
    const IntegerFormat own =
        format(value, zero_point != nullptr ? zero_point : input(operand.codes));
    Json json = {{"bits", own.bits}, {"signed", own.is_signed}};
    if (scale != nullptr) {
      if (weight) {
        json["scales"] = numbers(*scale);
      } else if (scale->elements() == 1) {
        json["scale"] = scale->real(0);
      }
    }
    if (zero_point != nullptr) {
      if (weight) {
        json["zero_points"] = numbers(*zero_point);
      } else if (zero_point->elements() == 1) {
        json["zero_point"] = zero_point->integer(0);
      }
    }
    return json;
  }

  void add_operands(Json& json, const QuantizedOperands& operands) const {
    if (!operands.ifmaps.empty()) json["ifmap"] = operand_json(operands.ifmaps[0], false);
    if (operands.weight) json["weight"] = operand_json(*operands.weight, true);
    if (operands.ofmap) json["ofmap"] = operand_json(*operands.ofmap, false);
  }

  const Graph& graph_;
  const NodeView& view_;
  const ValueShapes& shapes_;
  const GraphNode& node_;
};

std::string format_text(const Json& layer, const char* key) {
  if (!layer.contains(key)) return "";
  const Json& operand = layer[key];
  return fmt::format("{}int{}", operand["signed"].get<bool>() ? "" : "u",
                     operand["bits"].get<int>());
}

// "0.0125 (3)": scale and zero point; of scales that differ, the range.
std::string scale_text(const Json& layer, const char* key) {
  if (!layer.contains(key)) return "";
  const Json& operand = layer[key];
  std::string text;
  if (operand.contains("scale")) {
    text = fmt::format("{:.4g}", operand["scale"].get<double>());
  } else if (operand.contains("scales")) {
    const auto scales = operand["scales"].get<std::vector<double>>();
    const auto [least, most] = std::minmax_element(scales.begin(), scales.end());
    if (!scales.empty())
      text = *least == *most ? fmt::format("{:.4g}", *least)
                             : fmt::format("{:.4g}..{:.4g}", *least, *most);
  }
  if (operand.contains("zero_point"))
    text += fmt::format(" ({})", operand["zero_point"].get<int64_t>());
  return text;
}

}  // namespace

Json graph_report(const Graph& graph) {
  const ValueShapes shapes = infer_shapes(graph);
  Json layers = Json::array();
  for (const GraphNode& node : graph.nodes) {
    const NodeView view(graph, node, shapes);
    layers.push_back(NodeReport(graph, view, shapes).json());
  }
  return layers;
}

int64_t report_total(const Json& layers, const char* key) {
  int64_t total = 0;
  for (const Json& layer : layers) total += layer.value(key, int64_t{0});
  return total;
}

std::string graph_report_text(const Graph& graph, const Json& layers) {
  TextTable table({"node", "operator", "ifmap", "ofmap", "groups", "K", "MACs", "parameters",
                   "ifmap", "weight", "ofmap", "ifmap scale (zero)", "weight scale",
                   "ofmap scale (zero)"});
  for (const Json& layer : layers) {
    table.add({layer["name"], layer["operator"],
               layer["ifmap_shapes"].empty() ? "" : extents_text(layer["ifmap_shapes"][0]),
               layer.contains("ofmap_shape") ? extents_text(layer["ofmap_shape"]) : "",
               integer_text(layer, "groups"), integer_text(layer, "k"), integer_text(layer, "macs"),
               integer_text(layer, "parameters"), format_text(layer, "ifmap"),
               format_text(layer, "weight"), format_text(layer, "ofmap"),
               scale_text(layer, "ifmap"), scale_text(layer, "weight"),
               scale_text(layer, "ofmap")});
  }
  const bool batch =
      !graph.inputs.empty() && !graph.inputs[0].shape.empty() && graph.inputs[0].shape[0] > 1;
  return fmt::format("{}: {} nodes, {} parameters, {} MACs per {}\n{}", graph.name, layers.size(),
                     report_total(layers, "parameters"), report_total(layers, "macs"),
                     batch ? fmt::format("batch of {}", graph.inputs[0].shape[0]) : "image",
                     table.text());
}

}  // namespace widthwise
