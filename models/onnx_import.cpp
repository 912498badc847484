#include "models/onnx_import.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "models/onnx_tensor.h"
#include "models/topology.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

constexpr const char* kQonnxDomains[] = {"qonnx.custom_op.general", "onnx.brevitas",
                                         "finn.custom_op.general"};

class Importer {
 public:
  explicit Importer(const std::string& file) : file_(file), folder_(fs::path(file).parent_path()) {}

  Graph run(const std::string& bytes) {
    onnx::ModelProto model;
    const google::protobuf::LogSilencer silent;
    check_size(bytes.size());
    if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) refuse_bytes(bytes);
    return convert(model);
  }

  // Parses from the file itself, so that its bytes are not in memory beside the network.
  Graph run_file() {
    onnx::ModelProto model;
    const google::protobuf::LogSilencer silent;
    std::ifstream stream(file_, std::ios::binary);
    std::error_code error;
    const bool readable = stream && fs::is_regular_file(file_, error);
    if (readable) check_size(fs::file_size(file_, error));
    if (!readable || !model.ParseFromIstream(&stream))
      refuse_bytes(read_file(file_, "give the path of an ONNX file (.onnx)"));
    return convert(model);
  }

 private:
  Graph convert(onnx::ModelProto& model) {
    if (!model.has_ir_version() || !model.has_graph())
      refuse("", "", "is not an ONNX file: it has no IR version or no graph", kFix);
    check_model(model);
    onnx::GraphProto& proto = *model.mutable_graph();
    graph_.file = file_;
    graph_.name = fs::path(file_).stem().string();
    for (auto& tensor : *proto.mutable_initializer()) {
      const std::string where = fmt::format("initializer '{}'", tensor.name());
      const std::string name = tensor.name();
      if (name.empty())
        refuse("initializer", "name", "is empty", "give every initializer its own name");
      if (graph_.initializers.contains(name))
        refuse(where, "name", "is used twice", "give every initializer its own name");
      graph_.initializers.emplace(name, convert_tensor(tensor, file_, where, folder_));
      tensor.Clear();
    }
    read_ends(proto);
    for (auto& node : *proto.mutable_node()) read_node(node);
    sort_nodes(graph_);
    return std::move(graph_);
  }

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

  static constexpr const char* kFix = "give an ONNX file as torch.onnx.export writes it";

  void check_size(size_t bytes) const {
    if (bytes == 0) refuse("", "", "is empty", kFix);
    if (bytes > static_cast<size_t>(std::numeric_limits<int>::max()))
      refuse("", "", "is larger than 2 GiB, which no ONNX file may be", kFix);
  }

  [[noreturn]] void refuse_bytes(const std::string& bytes) const {
    check_size(bytes.size());
    if (truncated(bytes)) {
      refuse("", "",
             fmt::format("is truncated: it ends after {} bytes within a field", bytes.size()),
             "copy or download the file again");
    }
    refuse("", "", "is not an ONNX file: it does not parse", kFix);
  }

  void check_model(const onnx::ModelProto& model) {
    bool found = false;
    for (const auto& import : model.opset_import()) {
      const auto domain = known_domain(import.domain());
      if (!domain) continue;  // a domain that no node uses does no harm
      if (*domain == kQonnxDomain) {
        if (import.version() < 1 || import.version() > 2)
          refuse("", fmt::format("opset of {}", import.domain()),
                 fmt::format("is {}, allowed 1..2", import.version()), "export the network again");
        graph_.qonnx_opset = static_cast<int>(import.version());
      }
      if (*domain != kOnnxDomain) continue;
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

  // The name that the graph uses for a domain; nothing for one that is not known.
  static std::optional<std::string> known_domain(const std::string& domain) {
    if (domain.empty() || domain == "ai.onnx") return kOnnxDomain;
    if (domain == kMicrosoftDomain) return kMicrosoftDomain;
    for (const char* name : kQonnxDomains) {
      if (domain == name) return kQonnxDomain;
    }
    return std::nullopt;
  }

  GraphValue read_value(const onnx::ValueInfoProto& proto, const std::string& what) const {
    const std::string where = fmt::format("{} '{}'", what, proto.name());
    const auto& type = proto.type();
    if (!type.has_tensor_type())
      refuse(where, "type", "is not a tensor", "use tensors for inputs and outputs");
    GraphValue value;
    value.name = proto.name();
    value.type = element_type_of(type.tensor_type().elem_type(), file_, where);
    value.has_shape = type.tensor_type().has_shape();
    if (const int axes = type.tensor_type().shape().dim_size();
        static_cast<size_t>(axes) > kMaxTensorAxes)
      refuse(where, "shape", fmt::format("has {} axes, allowed 0..{}", axes, kMaxTensorAxes),
             "the file is damaged: export the network again");
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
    std::set<std::string> inputs, outputs;
    for (const auto& input : proto.input()) {  // old files list initializers as inputs, too
      if (graph_.initializers.contains(input.name())) continue;
      if (input.name().empty()) refuse("input", "name", "is empty", "give every input a name");
      if (!inputs.insert(input.name()).second)
        refuse(fmt::format("input '{}'", input.name()), "name", "is used twice",
               "give every input its own name");
      graph_.inputs.push_back(read_value(input, "input"));
    }
    for (const auto& output : proto.output()) {
      if (!outputs.insert(output.name()).second)
        refuse(fmt::format("output '{}'", output.name()), "name", "is used twice",
               "name every output once");
      graph_.outputs.push_back(read_value(output, "output"));
    }
    if (graph_.outputs.empty())
      refuse("graph", "output", "count is 0, allowed 1 or more", "name a value that a node writes");
  }

  void read_node(onnx::NodeProto& proto) {
    GraphNode node;
    node.name = proto.name();
    node.op_type = proto.op_type();
    node.inputs = {proto.input().begin(), proto.input().end()};
    node.outputs = {proto.output().begin(), proto.output().end()};
    if (node.name.empty()) node.name = fmt::format("{}_{}", node.op_type, graph_.nodes.size());
    node.name = node_names_.take(node.name);
    const std::string where = fmt::format("node '{}' ({})", node.name, node.op_type);
    const auto domain = known_domain(proto.domain());
    if (!domain)
      refuse(where, "domain",
             fmt::format("is '{}', allowed ai.onnx, {}, {}", proto.domain(), kMicrosoftDomain,
                         list_names(kQonnxDomains)),
             "export with these operators only");
    node.domain = *domain;
    if (std::all_of(node.outputs.begin(), node.outputs.end(),
                    [](const std::string& value) { return value.empty(); }))
      refuse(where, "outputs", "count is 0, allowed 1 or more", "remove the node");
    // ONNX Runtime's own are the standard's, for 4- and 16-bit codes before opset 21.
    if (node.domain == kMicrosoftDomain &&
        (node.op_type == "QuantizeLinear" || node.op_type == "DequantizeLinear"))
      node.domain = kOnnxDomain;
    for (auto& attribute : *proto.mutable_attribute()) {
      if (!node.attributes.emplace(attribute.name(), read_attribute(attribute, where)).second)
        refuse(where, attribute.name(), "is given twice", "keep one of them");
    }
    graph_.nodes.push_back(std::move(node));
  }

  GraphAttribute read_attribute(onnx::AttributeProto& proto, const std::string& where) const {
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
        return convert_tensor(*proto.mutable_t(), file_, fmt::format("{}, {}", where, proto.name()),
                              folder_, true);
      default:
        refuse(where, proto.name(), "is an attribute of a kind that is not supported",
               "allowed are numbers, strings, lists of them and tensors; no subgraphs");
    }
  }

  std::string file_;
  fs::path folder_;
  Graph graph_;
  UnusedNames node_names_;
};

}  // namespace

Graph parse_graph(const std::string& bytes, const std::string& file) {
  return Importer(file).run(bytes);
}

Graph load_graph(const std::filesystem::path& path) { return Importer(path.string()).run_file(); }

}  // namespace widthwise
