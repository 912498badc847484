#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/graph.h"

namespace widthwise {

// A value that a DequantizeLinear with constant parameters writes: real = scale * (code - zero
// point).
struct Dequantized {
  std::string codes;              // value of the integers; may be an initializer
  std::string scale, zero_point;  // initializers; zero_point "" for none
  int64_t axis = 1;               // of scales that are not one
  const Tensor* scale_tensor = nullptr;
  const Tensor* zero_point_tensor = nullptr;
  bool per_tensor() const { return scale_tensor->elements() == 1; }
};

// What a QuantizeLinear or DequantizeLinear with one constant scale and zero point states.
struct CodeQuantization {
  std::string scale, zero_point;  // initializers
  float scale_value = 1;
  int64_t zero_point_value = 0;
  ElementType type = ElementType::kUint8;  // of the codes

  IntegerFormat format() const { return *integer_format(type); }
  bool same_numbers(const CodeQuantization& other) const {
    return scale_value == other.scale_value && zero_point_value == other.zero_point_value &&
           type == other.type;
  }
};

// Rebuilds a graph node by node, in order. Nodes that were kept can be looked up, taken back and
// replaced while the order stays one in which values are written before they are read.
class GraphEditor {
 public:
  explicit GraphEditor(Graph& graph)
      : graph_(graph), readers_(reader_counts(graph)), names_(graph) {
    outputs_ = names_of(graph.outputs);
  }

  Graph& graph() { return graph_; }
  bool is_output(const std::string& value) const { return outputs_.contains(value); }
  void keep(GraphNode node);
  // The kept node that writes a value, or null.
  const GraphNode* writer(const std::string& value) const;
  // The same if it writes nothing else and nobody but one node reads the value, so that both can
  // become one.
  const GraphNode* only_reader_of(const std::string& value) const;
  GraphNode& writer_to_change(const std::string& value);
  void take_back(const std::string& value);  // removes the kept node that writes it
  void rename_output(const std::string& from, const std::string& to);  // of a kept node
  void finish();  // the graph's nodes are the kept ones

  // From here on `value` is another name of `other`.
  void replace(const std::string& value, const std::string& other);
  void apply_replacements(GraphNode& node) const;

  const Tensor* constant(const std::string& value) const;
  std::string add_constant(const std::string& wanted, Tensor tensor);
  std::string new_value(const std::string& wanted);
  std::optional<Dequantized> dequantized(const std::string& value) const;
  // Of a QuantizeLinear or DequantizeLinear. Nothing for blocks and several scales, and for what is
  // refused later: scales that are not normal positive numbers, codes of more than 16 bits.
  std::optional<CodeQuantization> quantization(const GraphNode& node) const;
  // What is stated of a value's bits holds for another one, too.
  void copy_format(const std::string& from, const std::string& to);

 private:
  Graph& graph_;
  std::map<std::string, int> readers_;
  std::vector<std::optional<GraphNode>> kept_;
  std::map<std::string, size_t> writers_;
  std::map<std::string, std::string> replaced_;
  std::set<std::string> outputs_;
  UnusedNames names_;
};

}  // namespace widthwise
