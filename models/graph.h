#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace widthwise {

using Shape = std::vector<int64_t>;

enum class ElementType { kFloat, kUint8, kInt8, kUint16, kInt16, kInt32, kInt64, kBool };
const char* element_type_name(ElementType type);

// A constant of the graph in row-major order. kFloat fills `floats`, every other type `integers`.
struct GraphTensor {
  ElementType type = ElementType::kFloat;
  Shape shape = {};  // empty: a scalar
  std::vector<float> floats = {};
  std::vector<int64_t> integers = {};
};

using GraphAttribute = std::variant<int64_t, float, std::string, std::vector<int64_t>,
                                    std::vector<float>, std::vector<std::string>, GraphTensor>;

struct GraphNode {
  std::string name;  // unique in the graph; "Conv_3" if the file gives none
  std::string op_type;
  std::vector<std::string> inputs;  // value names; "" is an optional input that is left out
  std::vector<std::string> outputs;
  std::map<std::string, GraphAttribute> attributes;
};

// An input or output as the file declares it, batch first. kSymbolic: an open extent.
struct GraphValue {
  static constexpr int64_t kSymbolic = -1;
  std::string name;
  Shape shape;
};

// An ONNX graph of one input and one output, nodes in an order in which values are written before
// they are read. Its batch is the first axis of every value that depends on the input.
struct Graph {
  std::string file;  // path it was read from, for messages
  std::string name;  // of the file, without folder and extension
  int opset = 13;
  GraphValue input, output;
  std::vector<GraphNode> nodes;
  std::map<std::string, GraphTensor> initializers;
};

// The most elements that a tensor of one image or a constant may have.
inline constexpr int64_t kMaxTensorElements = int64_t{1} << 28;

// Product of the extents (1 for a scalar), or -1 if it is negative or above kMaxTensorElements.
int64_t shape_elements(const Shape& shape);
std::string shape_text(const Shape& shape);  // "[1, 16, 28, 28]"; kSymbolic is N

// How many node inputs read each value; the graph's output counts as one more.
std::map<std::string, int> reader_counts(const Graph& graph);

// The first of `wanted`, `wanted`_1, `wanted`_2, ... that no value of the graph has.
std::string unused_value_name(const Graph& graph, const std::string& wanted);

}  // namespace widthwise
