#pragma once
#include <onnx/onnx_pb.h>

#include <random>
#include <string>
#include <vector>

#include "models/graph.h"
#include "models/onnx_import.h"

namespace widthwise {

// Builds small ONNX models in memory: one input "x", one output "y" unless said otherwise. All of
// the protobuf is open to the tests, so that they can break it.
class OnnxBuilder {
 public:
  explicit OnnxBuilder(const Shape& input, int opset = 13) {
    model_.set_ir_version(7);
    auto* import = model_.add_opset_import();
    import->set_domain("");
    import->set_version(opset);
    value(*graph().add_input(), "x", input);
  }

  onnx::ModelProto& model() { return model_; }
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  // kSymbolic extents become the parameter "N"; no shape at all for an empty one.
  static void value(onnx::ValueInfoProto& info, const std::string& name, const Shape& shape) {
    info.set_name(name);
    auto* type = info.mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    for (const int64_t extent : shape) {
      auto* dim = type->mutable_shape()->add_dim();
      if (extent == GraphValue::kSymbolic) {
        dim->set_dim_param("N");
      } else {
        dim->set_dim_value(extent);
      }
    }
  }

  onnx::TensorProto& floats(const std::string& name, const Shape& shape,
                            const std::vector<float>& values) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t extent : shape) tensor.add_dims(extent);
    for (const float v : values) tensor.add_float_data(v);
    return tensor;
  }
  // Uniform in [low, low + 2).
  onnx::TensorProto& random(const std::string& name, const Shape& shape, float low = -1) {
    std::vector<float> values(static_cast<size_t>(shape_elements(shape)));
    for (float& v : values) v = low + std::uniform_real_distribution<float>(0, 2)(engine_);
    return floats(name, shape, values);
  }
  onnx::TensorProto& integers(const std::string& name, const std::vector<int64_t>& values) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::INT64);
    tensor.add_dims(static_cast<int64_t>(values.size()));
    for (const int64_t v : values) tensor.add_int64_data(v);
    return tensor;
  }

  onnx::NodeProto& node(const std::string& op_type, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs = {"y"}) {
    auto& node = *graph().add_node();
    node.set_op_type(op_type);
    for (const auto& v : inputs) node.add_input(v);
    for (const auto& v : outputs) node.add_output(v);
    return node;
  }

  // The model as the bytes of a file; adds the output if there is none yet.
  std::string bytes(const std::string& output = "y", const Shape& shape = {}) {
    if (model_.has_graph() && graph().output_size() == 0)
      value(*graph().add_output(), output, shape);
    return model_.SerializeAsString();
  }
  Graph parse() { return parse_graph(bytes(), "test.onnx"); }

 private:
  onnx::ModelProto model_;
  std::mt19937 engine_{1};
};

inline void set(onnx::NodeProto& node, const std::string& name, int64_t value) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}
inline void set(onnx::NodeProto& node, const std::string& name, float value) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
}
inline void set(onnx::NodeProto& node, const std::string& name, const char* value) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::STRING);
  attribute.set_s(value);
}
inline void set(onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& list) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : list) attribute.add_ints(value);
}
inline void set(onnx::NodeProto& node, const std::string& name, const onnx::TensorProto& tensor) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::TENSOR);
  *attribute.mutable_t() = tensor;
}

// An initializer of a type of up to 32 bits, a number of onnx.proto.
inline onnx::TensorProto& add_codes(OnnxBuilder& model, const std::string& name, int type,
                                    const Shape& shape, const std::vector<int32_t>& values) {
  auto& tensor = *model.graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const int64_t extent : shape) tensor.add_dims(extent);
  for (const int32_t v : values) tensor.add_int32_data(v);
  return tensor;
}

}  // namespace widthwise
