#include "models/onnx_import.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>

#include <limits>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "models/onnx_tensor.h"
#include "models/topology.h"

namespace widthwise {
namespace {

class Importer {
 public:
  explicit Importer(const std::string& file) : file_(file) {}

  Graph run(const std::string& bytes) {
    const onnx::ModelProto model = parse(bytes);
    check_model(model);
    const onnx::GraphProto& proto = model.graph();
    graph_.file = file_;
    graph_.name = std::filesystem::path(file_).stem().string();
    for (const auto& tensor : proto.initializer()) {
      const std::string where = fmt::format("initializer '{}'", tensor.name());
      if (!graph_.initializers.emplace(tensor.name(), convert_tensor(tensor, file_, where)).second)
        refuse(where, "name", "is used twice", "give every initializer its own name");
    }
    read_ends(proto);
    for (const auto& node : proto.node()) read_node(node);
    sort_nodes(graph_);
    return std::move(graph_);
  }

 private:
  [[noreturn]] void refuse(std::string where, std::string field, std::string problem,
                           std::string fix) const {
    throw InputError({.file = file_,
                      .where = std::move(where),
                      .field = std::move(field),
                      .problem = std::move(problem),
                      .fix = std::move(fix)});
  }

  // The end of the file lies inside a field that begins as one of a ModelProto would.
  static bool truncated(const std::string& bytes) {
    google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                  static_cast<int>(bytes.size()));
    for (int fields = 0;; ++fields) {
      const uint32_t tag = stream.ReadTag(), kind = tag & 7;
      if (tag == 0 || tag >> 3 > 25) return false;
      uint64_t value = 0;
      if (kind == 0) {
        if (!stream.ReadVarint64(&value)) return true;
      } else if (kind == 2) {
        if (!stream.ReadVarint64(&value)) return true;
        const auto left = bytes.size() - static_cast<size_t>(stream.CurrentPosition());
        if (value > left) return fields > 0;
        stream.Skip(static_cast<int>(value));
      } else {
        return false;
      }
    }
  }

  onnx::ModelProto parse(const std::string& bytes) const {
    const std::string fix = "give an ONNX file as torch.onnx.export writes it";
    if (bytes.empty()) refuse("", "", "is empty", fix);
    if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
      refuse("", "", "is larger than 2 GiB, which no ONNX file may be", fix);
    const google::protobuf::LogSilencer silent;
    onnx::ModelProto model;
    if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      if (truncated(bytes)) {
        refuse("", "",
               fmt::format("is truncated: it ends after {} bytes within a field", bytes.size()),
               "copy or download the file again");
      }
      refuse("", "", "is not an ONNX file: it does not parse", fix);
    }
    if (!model.has_ir_version() || !model.has_graph())
      refuse("", "", "is not an ONNX file: it has no IR version or no graph", fix);
    return model;
  }

  void check_model(const onnx::ModelProto& model) {
    bool found = false;
    for (const auto& import : model.opset_import()) {
      if (!default_domain(import.domain())) continue;  // a domain that no node uses does no harm
      found = true;
      if (import.version() < kMinOpset || import.version() > kMaxOpset) {
        refuse("", "opset",
               fmt::format("is {}, allowed {}..{}", import.version(), kMinOpset, kMaxOpset),
               "export with opset_version=13, or use onnx.version_converter");
      }
      graph_.opset = static_cast<int>(import.version());
    }
    if (!found)
      refuse("", "opset_import", "does not name the domain ai.onnx",
             "export the network again; the opset decides what the operators mean");
    if (model.functions_size() != 0)
      refuse("", "functions", "are not supported", "inline them (onnx.inliner)");
    if (model.graph().sparse_initializer_size() != 0)
      refuse("", "sparse_initializer", "is not supported", "store the weights as dense tensors");
  }

  static bool default_domain(const std::string& domain) {
    return domain.empty() || domain == "ai.onnx";
  }

  GraphValue read_value(const onnx::ValueInfoProto& proto, const std::string& what) const {
    const std::string where = fmt::format("{} '{}'", what, proto.name());
    const auto& type = proto.type();
    if (!type.has_tensor_type())
      refuse(where, "type", "is not a tensor", "use tensors for inputs and outputs");
    if (type.tensor_type().elem_type() != onnx::TensorProto::FLOAT)
      refuse(where, "type",
             fmt::format("has element type {}, allowed float (1)", type.tensor_type().elem_type()),
             "export the network with a float32 input and output");
    GraphValue value{.name = proto.name(), .shape = {}};
    for (const auto& dim : type.tensor_type().shape().dim()) {
      const bool fixed = dim.has_dim_value() && dim.dim_value() != 0;
      value.shape.push_back(fixed ? dim.dim_value() : GraphValue::kSymbolic);
      if (fixed && (dim.dim_value() < 0 || dim.dim_value() > kMaxTensorElements))
        refuse(where, "shape",
               fmt::format("has the extent {}, allowed 1..{}", dim.dim_value(), kMaxTensorElements),
               "the file is damaged: export the network again");
    }
    return value;
  }

  void read_ends(const onnx::GraphProto& proto) {
    std::vector<const onnx::ValueInfoProto*> inputs;
    for (const auto& input : proto.input()) {  // old files list initializers as inputs, too
      if (!graph_.initializers.contains(input.name())) inputs.push_back(&input);
    }
    if (inputs.size() != 1)
      refuse("graph", "input", fmt::format("count is {}, allowed 1", inputs.size()),
             "keep one input; make the others initializers");
    if (proto.output_size() != 1)
      refuse("graph", "output", fmt::format("count is {}, allowed 1", proto.output_size()),
             "keep the output that is to be evaluated (onnx.utils.extract_model)");
    graph_.input = read_value(*inputs[0], "input");
    graph_.output = read_value(proto.output(0), "output");
    const std::string where = fmt::format("input '{}'", graph_.input.name);
    Shape& shape = graph_.input.shape;
    if (shape.size() < 2)
      refuse(where, "shape",
             fmt::format("{} has {} axes, at least 2 are needed: batch and features",
                         shape_text(shape), shape.size()),
             "export the network with a batch axis and fixed other extents");
    Shape image(shape.begin() + 1, shape.end());
    for (const int64_t extent : image) {
      if (extent == GraphValue::kSymbolic)
        refuse(where, "shape", fmt::format("{} is open beyond the batch axis", shape_text(shape)),
               "export the network with a fixed image size; only the batch may stay open");
    }
    if (shape_elements(image) < 0)
      refuse(where, "shape",
             fmt::format("{} has more than {} elements per image", shape_text(shape),
                         kMaxTensorElements),
             "the file is damaged: export the network again");
  }

  void read_node(const onnx::NodeProto& proto) {
    GraphNode node{.name = proto.name(),
                   .op_type = proto.op_type(),
                   .inputs = {proto.input().begin(), proto.input().end()},
                   .outputs = {proto.output().begin(), proto.output().end()},
                   .attributes = {}};
    if (node.name.empty()) node.name = fmt::format("{}_{}", node.op_type, graph_.nodes.size());
    const std::string wanted = node.name;
    for (int i = 1; !node_names_.insert(node.name).second; ++i)
      node.name = fmt::format("{}_{}", wanted, i);
    const std::string where = fmt::format("node '{}' ({})", node.name, node.op_type);
    if (!default_domain(proto.domain()))
      refuse(where, "domain", fmt::format("is '{}', allowed ai.onnx", proto.domain()),
             "export with standard operators only");
    for (const auto& attribute : proto.attribute()) {
      if (!node.attributes.emplace(attribute.name(), read_attribute(attribute, where)).second)
        refuse(where, attribute.name(), "is given twice", "keep one of them");
    }
    graph_.nodes.push_back(std::move(node));
  }

  GraphAttribute read_attribute(const onnx::AttributeProto& proto, const std::string& where) const {
    using onnx::AttributeProto;
    switch (proto.type()) {
      case AttributeProto::INT:
        return int64_t{proto.i()};
      case AttributeProto::FLOAT:
        return proto.f();
      case AttributeProto::STRING:
        return proto.s();
      case AttributeProto::INTS:
        return std::vector<int64_t>{proto.ints().begin(), proto.ints().end()};
      case AttributeProto::FLOATS:
        return std::vector<float>{proto.floats().begin(), proto.floats().end()};
      case AttributeProto::STRINGS:
        return std::vector<std::string>{proto.strings().begin(), proto.strings().end()};
      case AttributeProto::TENSOR:
        return convert_tensor(proto.t(), file_, fmt::format("{}, {}", where, proto.name()), true);
      default:
        refuse(where, proto.name(), "is an attribute of a kind that is not supported",
               "allowed are numbers, strings, lists of them and tensors; no subgraphs");
    }
  }

  std::string file_;
  Graph graph_;
  std::set<std::string> node_names_;
};

}  // namespace

Graph parse_graph(const std::string& bytes, const std::string& file) {
  return Importer(file).run(bytes);
}

Graph load_graph(const std::filesystem::path& path) {
  return parse_graph(read_file(path, "give the path of an ONNX file (.onnx)"), path.string());
}

}  // namespace widthwise
