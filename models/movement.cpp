#include "models/movement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

namespace widthwise {

bool moves_elements(const GraphNode& node) {
  static const std::set<std::string> kMoves = {
      "Concat", "DepthToSpace", "Expand", "Flatten", "Gather",    "Identity", "Reshape",
      "Slice",  "SpaceToDepth", "Split",  "Squeeze", "Transpose", "Tile",     "Unsqueeze"};
  if (node.domain != kOnnxDomain) return false;
  if (node.op_type == "Resize") {  // nearest repeats elements, but for the ones from outside
    const auto is = [&](const char* name, const char* value) {
      const auto found = node.attributes.find(name);
      return found != node.attributes.end() && found->second == GraphAttribute(std::string(value));
    };
    return (is("mode", "nearest") || !node.attributes.contains("mode")) &&
           !is("coordinate_transformation_mode", "tf_crop_and_resize");
  }
  return kMoves.contains(node.op_type);
}

bool is_max_pool(const GraphNode& node) {
  return node.domain == kOnnxDomain &&
         (node.op_type == "MaxPool" || node.op_type == "GlobalMaxPool");
}

bool onnx_runtime_passes(const GraphNode& node, int opset) {
  static const std::set<std::string> kPassed = {"Reshape", "Slice", "Squeeze", "Transpose",
                                                "Unsqueeze"};
  constexpr int kMaxPoolOfCodes = 12;  // the opset in which it got integers
  return node.domain == kOnnxDomain && (kPassed.contains(node.op_type) ||
                                        (node.op_type == "MaxPool" && opset >= kMaxPoolOfCodes));
}

void lower_movement(const NodeView& node, LayerBuilder& builder, size_t moved_inputs,
                    const Sources& sources) {
  MoveWorkload move;
  std::vector<std::string> inputs;
  for (size_t i = 0; i < moved_inputs; ++i) {
    node.activation(i, "ifmap");
    inputs.push_back(node.node().inputs[i]);
    move.input_elements.push_back(shape_elements(node.shape(i)));
  }
  for (size_t output = 0; output < sources.size() && output < node.node().outputs.size();
       ++output) {
    FloatLayer layer;
    move.source = sources[output];
    layer.workload = move;
    builder.add(node, std::move(layer), inputs, output);
  }
}

std::vector<Tensor> move_tensors(const NodeView& node, size_t moved_inputs, const Sources& sources,
                                 const std::vector<Shape>& shapes) {
  const ElementType type = node.tensor(0, "input").type();
  std::string joined;  // of several inputs
  for (size_t i = 0; i < moved_inputs; ++i) {
    const Tensor& input = node.tensor(i, "input");
    if (input.type() != type) {
      node.refuse("inputs",
                  fmt::format("are of the types {} and {}", element_type_name(type),
                              element_type_name(input.type())),
                  "cast them to one type");
    }
    if (moved_inputs > 1) joined += input.bytes();
  }
  const std::string& all = moved_inputs > 1 ? joined : node.tensor(0, "input").bytes();
  const auto size = static_cast<size_t>(element_bytes(type));
  std::vector<Tensor> outputs;
  for (size_t output = 0; output < sources.size(); ++output) {
    std::string bytes(sources[output].size() * size, '\0');
    char* to = bytes.data();
    for (const int64_t from : sources[output]) {
      std::memcpy(to, all.data() + static_cast<size_t>(from) * size, size);
      to += size;
    }
    outputs.emplace_back(type, shapes[output], std::move(bytes));
  }
  return outputs;
}

std::vector<int64_t> identity_source(int64_t elements) {
  std::vector<int64_t> source(static_cast<size_t>(elements));
  std::iota(source.begin(), source.end(), int64_t{0});
  return source;
}

std::vector<int64_t> strided_source(int64_t start, const Shape& extents,
                                    const std::vector<int64_t>& strides) {
  if (std::find(extents.begin(), extents.end(), 0) != extents.end()) return {};
  std::vector<int64_t> source = {start};
  for (size_t axis = 0; axis < extents.size(); ++axis) {
    std::vector<int64_t> finer;
    finer.reserve(source.size() * static_cast<size_t>(extents[axis]));
    for (const int64_t base : source) {
      for (int64_t i = 0; i < extents[axis]; ++i) finer.push_back(base + i * strides[axis]);
    }
    source = std::move(finer);
  }
  return source;
}

std::vector<int64_t> row_major_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

}  // namespace widthwise
