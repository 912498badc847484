#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/tensor.h"

namespace widthwise {

using GraphAttribute = std::variant<int64_t, float, std::string, std::vector<int64_t>,
                                    std::vector<float>, std::vector<std::string>, Tensor>;

// Domains of operators, as nodes name them after import.
inline constexpr const char* kOnnxDomain = "";  // the file's "" and "ai.onnx"
inline constexpr const char* kMicrosoftDomain = "com.microsoft";
inline constexpr const char* kQonnxDomain = "qonnx";    // the three names that QONNX has had
inline constexpr const char* kOwnDomain = "widthwise";  // made by fuse(), never read from a file

struct GraphNode {
  std::string name;  // unique in the graph; "Conv_3" if the file gives none
  std::string op_type;
  std::vector<std::string> inputs;  // value names; "" is an optional input that is left out
  std::vector<std::string> outputs;
  std::map<std::string, GraphAttribute> attributes;
  std::string domain = kOnnxDomain;
};

// An attribute of this type, else `otherwise`; checked_operator() refuses other types later.
template <class T>
T attribute_of(const GraphNode& node, const std::string& name, T otherwise) {
  const auto found = node.attributes.find(name);
  const T* value = found == node.attributes.end() ? nullptr : std::get_if<T>(&found->second);
  return value == nullptr ? otherwise : *value;
}

// An input or output as the file declares it. kSymbolic: an open extent.
struct GraphValue {
  static constexpr int64_t kSymbolic = -1;
  std::string name;
  Shape shape;
  ElementType type = ElementType::kFloat;
  bool has_shape = true;
};

// An ONNX graph, nodes in an order in which values are written before they are read.
struct Graph {
  std::string file;  // path it was read from, for messages
  std::string name;  // of the file, without folder and extension
  int opset = 13;    // of the domain ai.onnx
  int qonnx_opset = 1;
  std::vector<GraphValue> inputs, outputs;
  std::vector<GraphNode> nodes;
  std::map<std::string, Tensor> initializers;
  // Values whose codes have fewer bits than their element type (see fuse.h).
  std::map<std::string, IntegerFormat> formats = {};

  bool is_input(const std::string& value) const;
};

// For loops, in which a search per value would take the square of the time.
std::set<std::string> names_of(const std::vector<GraphValue>& values);

// How many node inputs read each value; being an output of the graph counts as one more.
std::map<std::string, int> reader_counts(const Graph& graph);

// Names for new values and nodes. Many that want one name do not take the square of the time.
class UnusedNames {
 public:
  UnusedNames() = default;
  explicit UnusedNames(const Graph& graph);  // the values of the graph are used
  // The first of `wanted`, `wanted`_1, `wanted`_2, ... that is not used; it is from then on.
  std::string take(const std::string& wanted);
  void use(const std::string& name) { used_.insert(name); }

 private:
  std::set<std::string> used_;
  std::map<std::string, int> next_;  // by the wanted name
};

// Float networks, which are calibrated and quantized, have one float input whose first axis is the
// batch and whose other extents are fixed, and one output. Refuses everything else.
void require_image_network(const Graph& graph);

}  // namespace widthwise
