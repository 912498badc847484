#include "quant/model_builder.h"

#include <fmt/format.h>

#include "core/error.h"
#include "models/onnx_tensor.h"

namespace widthwise {
namespace {

// The IR version that came with an opset.
int ir_version(int opset) {
  return opset <= 18 ? 8 : opset <= 20 ? 9 : opset <= 22 ? 10 : opset - 12;
}

onnx::AttributeProto* add_attribute(onnx::NodeProto* node, const std::string& name,
                                    onnx::AttributeProto_AttributeType type) {
  auto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return attribute;
}

}  // namespace

ModelBuilder::ModelBuilder(const std::string& name, int opset) : graph_(model_.mutable_graph()) {
  model_.set_ir_version(ir_version(opset));
  model_.set_producer_name("widthwise");
  import_domain("", opset);
  graph_->set_name(name);
}

void ModelBuilder::import_domain(const std::string& domain, int version) {
  auto* opset = model_.add_opset_import();
  opset->set_domain(domain);
  opset->set_version(version);
}

void ModelBuilder::declare(onnx::ValueInfoProto* to, const GraphValue& value) {
  to->set_name(value.name);
  auto* type = to->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto_DataType_FLOAT);
  for (size_t i = 0; i < value.shape.size(); ++i) {
    auto* extent = type->mutable_shape()->add_dim();
    if (i == 0 || value.shape[i] == GraphValue::kSymbolic) {
      extent->set_dim_param(i == 0 ? "N" : fmt::format("d{}", i));
    } else {
      extent->set_dim_value(value.shape[i]);
    }
  }
}

onnx::NodeProto* ModelBuilder::add_node(const std::string& op, const std::string& name,
                                        const std::vector<std::string>& inputs,
                                        const std::vector<std::string>& outputs) {
  auto* node = graph_->add_node();
  node->set_op_type(op);
  node->set_name(name);
  for (const auto& input : inputs) node->add_input(input);
  for (const auto& output : outputs) {
    node->add_output(output);
    take(output);
  }
  return node;
}

void ModelBuilder::take(const std::string& name) {
  if (name.empty() || names_.insert(name).second) return;
  throw InputError({.file = "",
                    .where = "value '" + name + "'",
                    .field = "name",
                    .problem = "is also the name of a value that a quantized file adds",
                    .fix = "rename it in the network"});
}

void ModelBuilder::add_constant(const std::string& name, const Tensor& tensor) {
  take(name);
  auto* to = graph_->add_initializer();
  to->set_name(name);
  to->set_data_type(onnx_element_type(tensor.type()));
  for (const int64_t extent : tensor.shape()) to->add_dims(extent);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (tensor.type() == ElementType::kFloat) {
      to->add_float_data(static_cast<float>(tensor.real(i)));
    } else if (tensor.type() == ElementType::kInt64) {
      to->add_int64_data(tensor.integer(i));
    } else {
      to->add_int32_data(static_cast<int32_t>(tensor.integer(i)));
    }
  }
}

void ModelBuilder::add_float(const std::string& name, float value) {
  add_constant(name, Tensor::scalar(value));
}

void ModelBuilder::add_codes(const std::string& name, IntegerFormat format, const Shape& shape,
                             const std::vector<int32_t>& codes) {
  Tensor tensor(element_type(format), shape);
  visit_type(tensor.type(), [&](auto stored) {
    using T = decltype(stored);
    const auto to = tensor.write<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<T>(codes.at(i));
  });
  add_constant(name, tensor);
}

void ModelBuilder::set_integer(onnx::NodeProto* node, const std::string& name, int64_t value) {
  add_attribute(node, name, onnx::AttributeProto_AttributeType_INT)->set_i(value);
}

void ModelBuilder::set_integers(onnx::NodeProto* node, const std::string& name,
                                const std::vector<int64_t>& values) {
  auto* attribute = add_attribute(node, name, onnx::AttributeProto_AttributeType_INTS);
  for (const int64_t value : values) attribute->add_ints(value);
}

void ModelBuilder::set_text(onnx::NodeProto* node, const std::string& name,
                            const std::string& value) {
  add_attribute(node, name, onnx::AttributeProto_AttributeType_STRING)->set_s(value);
}

void ModelBuilder::copy_attributes(const GraphNode& from, onnx::NodeProto* node) {
  for (const auto& [name, value] : from.attributes) {
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      set_integer(node, name, *integer);
    } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
      set_integers(node, name, *integers);
    } else if (const auto* real = std::get_if<float>(&value)) {
      add_attribute(node, name, onnx::AttributeProto_AttributeType_FLOAT)->set_f(*real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      set_text(node, name, *text);
    } else {
      throw InputError({.file = "",
                        .where = "node '" + from.name + "'",
                        .field = name,
                        .problem = "is of a type that a quantized file is not given",
                        .fix = "report this network: no supported operator has such an attribute"});
    }
  }
}

}  // namespace widthwise
