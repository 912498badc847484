#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/graph.h"

namespace widthwise {

// Shapes of all values that are no initializers; an open batch counts as 1.
using ValueShapes = std::map<std::string, Shape>;

// One node with what is known of its inputs, as the operators see it. Either the shapes are known
// and the constants (initializers), or, when the node is to be evaluated, all inputs are bound to
// tensors and count as constants. Everything that is not supported ends in refuse().
class NodeView {
 public:
  NodeView(const Graph& graph, const GraphNode& node, const ValueShapes& shapes,
           bool image_network = false)
      : graph_(graph), node_(node), shapes_(&shapes), image_network_(image_network) {}
  // inputs: one per input of the node, null for those left out.
  NodeView(const Graph& graph, const GraphNode& node, std::vector<const Tensor*> inputs)
      : graph_(graph), node_(node), bound_(true), inputs_(std::move(inputs)) {}

  // The same, but a value in `shapes` is a stand-in of its type without elements.
  NodeView(const Graph& graph, const GraphNode& node, std::vector<const Tensor*> inputs,
           const ValueShapes& shapes)
      : graph_(graph), node_(node), shapes_(&shapes), bound_(true), inputs_(std::move(inputs)) {}

  const GraphNode& node() const { return node_; }
  const Graph& graph() const { return graph_; }
  int opset() const { return graph_.opset; }
  int64_t batch() const;        // of the graph's first input as declared; may be kSymbolic
  bool has_activation() const;  // at least one input is no constant
  // The node handles one image of an image network, so its first axis is the batch and must stay.
  bool one_image() const { return image_network_ && has_activation(); }

  size_t input_count() const { return node_.inputs.size(); }
  bool has_input(size_t i) const { return i < node_.inputs.size() && !node_.inputs[i].empty(); }
  const Shape& shape(size_t i) const;
  const Tensor* constant(size_t i) const;  // nullptr: an activation, or left out
  // A bound or constant input; refuses others.
  const Tensor& tensor(size_t i, const char* what) const;
  const Shape& activation(size_t i, const char* what) const;  // one_image(): refuses a constant
  const Tensor& float_constant(size_t i, const char* what) const;  // finite; refuses the rest
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

  // Zeros of a shape that infer_shape gave; refuses absurd ones before anything is allocated.
  Tensor output(ElementType type, const Shape& shape) const;

  [[noreturn]] void refuse(const std::string& field, const std::string& problem,
                           const std::string& fix) const;

 private:
  template <class T>
  T attribute(const std::string& name, T otherwise, const char* kind) const;
  std::string input_name(size_t i) const;

  const Graph& graph_;
  const GraphNode& node_;
  const ValueShapes* shapes_ = nullptr;
  bool image_network_ = false;
  bool bound_ = false;
  std::vector<const Tensor*> inputs_;
};

}  // namespace widthwise
