#pragma once
#include <onnx/onnx_pb.h>

#include <set>
#include <string>
#include <vector>

#include "models/graph.h"

namespace widthwise {

// Builds an ONNX model node by node; thin over protobuf.
class ModelBuilder {
 public:
  ModelBuilder(const std::string& name, int opset);
  void import_domain(const std::string& domain, int version);
  void add_input(const GraphValue& value) {
    declare(graph_->add_input(), value);
    take(value.name);
  }
  void add_output(const GraphValue& value) { declare(graph_->add_output(), value); }

  onnx::NodeProto* add_node(const std::string& op, const std::string& name,
                            const std::vector<std::string>& inputs,
                            const std::vector<std::string>& outputs);
  // Elements in the typed fields, which every reader understands.
  void add_constant(const std::string& name, const Tensor& tensor);
  void add_float(const std::string& name, float value);
  void add_codes(const std::string& name, IntegerFormat format, const Shape& shape,
                 const std::vector<int32_t>& codes);

  static void set_integer(onnx::NodeProto* node, const std::string& name, int64_t value);
  static void set_integers(onnx::NodeProto* node, const std::string& name,
                           const std::vector<int64_t>& values);
  static void set_text(onnx::NodeProto* node, const std::string& name, const std::string& value);
  static void copy_attributes(const GraphNode& from, onnx::NodeProto* node);

  std::string bytes() const { return model_.SerializeAsString(); }

 private:
  void take(const std::string& name);  // throws InputError for a second value of a name
  static void declare(onnx::ValueInfoProto* to, const GraphValue& value);

  onnx::ModelProto model_;
  onnx::GraphProto* graph_;
  std::set<std::string> names_;  // of values
};

}  // namespace widthwise
