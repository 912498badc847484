#pragma once
#include <map>
#include <string>
#include <vector>

#include "models/graph.h"

namespace widthwise {

// Shapes of all values that depend on the input, for a batch of 1: the first extent is 1.
using ValueShapes = std::map<std::string, Shape>;

// One node with what is known of its inputs, as the operators see it. An input is a constant
// (initializer) or an activation. Everything that is not supported ends in refuse().
class NodeView {
 public:
  NodeView(const Graph& graph, const GraphNode& node, const ValueShapes& shapes)
      : graph_(graph), node_(node), shapes_(shapes) {}

  const GraphNode& node() const { return node_; }
  int opset() const { return graph_.opset; }
  int64_t batch() const { return graph_.input.shape[0]; }  // as declared; may be kSymbolic
  bool has_activation() const;                             // at least one input is no constant

  size_t input_count() const { return node_.inputs.size(); }
  bool has_input(size_t i) const { return i < node_.inputs.size() && !node_.inputs[i].empty(); }
  const Shape& shape(size_t i) const;
  const GraphTensor* constant(size_t i) const;                // nullptr: an activation, or left out
  const Shape& activation(size_t i, const char* what) const;  // refuses a constant
  const GraphTensor& float_constant(size_t i, const char* what) const;  // finite; refuses the rest
  std::vector<int64_t> integer_constant(size_t i, const char* what) const;

  // Attributes by name; the default if there is none; refuses another type.
  bool has(const std::string& name) const { return node_.attributes.contains(name); }
  int64_t integer(const std::string& name, int64_t otherwise) const;
  float real(const std::string& name, float otherwise) const;
  std::string text(const std::string& name, const std::string& otherwise) const;
  std::vector<int64_t> integers(const std::string& name, std::vector<int64_t> otherwise) const;
  // An axis in 0..rank-1; negative ones count from the end.
  size_t axis(const std::string& field, int64_t value, size_t rank) const;
  // The integer attribute must have this value, which it has if it is left out.
  void require(const std::string& name, int64_t allowed, const std::string& fix) const;
  // An axis of an activation that must not be the batch.
  void require_not_batch(const std::string& field, size_t axis) const;

  [[noreturn]] void refuse(const std::string& field, const std::string& problem,
                           const std::string& fix) const;

 private:
  template <class T>
  T attribute(const std::string& name, T otherwise, const char* kind) const;

  const Graph& graph_;
  const GraphNode& node_;
  const ValueShapes& shapes_;
};

}  // namespace widthwise
