#include "tests/fuzz/model_mutator.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "models/operator.h"

namespace widthwise {
namespace {

using onnx::AttributeProto;
using onnx::TensorProto;

constexpr int64_t kInteresting[] = {0,
                                    1,
                                    -1,
                                    2,
                                    3,
                                    4,
                                    7,
                                    8,
                                    15,
                                    16,
                                    17,
                                    32,
                                    33,
                                    127,
                                    128,
                                    255,
                                    256,
                                    -128,
                                    1000,
                                    65535,
                                    65536,
                                    int64_t{1} << 20,
                                    int64_t{1} << 28,
                                    (int64_t{1} << 28) + 1,
                                    std::numeric_limits<int32_t>::max(),
                                    std::numeric_limits<int32_t>::min(),
                                    int64_t{1} << 40,
                                    int64_t{1} << 62,
                                    std::numeric_limits<int64_t>::max(),
                                    std::numeric_limits<int64_t>::min()};
constexpr float kInterestingReals[] = {0.0F,
                                       -0.0F,
                                       1.0F,
                                       -1.0F,
                                       0.5F,
                                       2.0F,
                                       2.5F,
                                       32.0F,
                                       33.0F,
                                       255.0F,
                                       1e-3F,
                                       1e9F,
                                       -1e9F,
                                       1e20F,
                                       std::numeric_limits<float>::denorm_min(),
                                       std::numeric_limits<float>::min(),
                                       std::numeric_limits<float>::max(),
                                       std::numeric_limits<float>::lowest(),
                                       std::numeric_limits<float>::infinity(),
                                       -std::numeric_limits<float>::infinity(),
                                       std::numeric_limits<float>::quiet_NaN()};
constexpr const char* kTexts[] = {"",
                                  "NOTSET",
                                  "VALID",
                                  "SAME_UPPER",
                                  "SAME_LOWER",
                                  "constant",
                                  "edge",
                                  "reflect",
                                  "wrap",
                                  "nearest",
                                  "linear",
                                  "cubic",
                                  "DCR",
                                  "CRD",
                                  "NCHW",
                                  "NHWC",
                                  "ROUND",
                                  "CEIL",
                                  "FLOOR",
                                  "UP",
                                  "DOWN",
                                  "HALF_UP",
                                  "HALF_DOWN",
                                  "HALF_EVEN",
                                  "floor",
                                  "ceil",
                                  "asymmetric",
                                  "align_corners",
                                  "half_pixel",
                                  "round_prefer_ceil",
                                  "tanh",
                                  "none",
                                  "not_larger",
                                  "not_smaller",
                                  "tf_crop_and_resize",
                                  "pytorch_half_pixel",
                                  "half_pixel_symmetric"};
constexpr int kTypes[] = {1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 21, 22, 25, 26};
constexpr int kMostElements = 4096;  // of a tensor that is resized

class Mutator {
 public:
  Mutator(onnx::ModelProto& model, std::mt19937& random)
      : model_(model), graph_(*model.mutable_graph()), random_(random) {}

  void once() {
    using Change = void (Mutator::*)();
    constexpr Change kChanges[] = {
        &Mutator::change_dims,      &Mutator::change_dims,       &Mutator::change_elements,
        &Mutator::change_elements,  &Mutator::change_elements,   &Mutator::change_type,
        &Mutator::change_attribute, &Mutator::change_attribute,  &Mutator::add_attribute,
        &Mutator::add_attribute,    &Mutator::remove_attribute,  &Mutator::change_operator,
        &Mutator::change_operator,  &Mutator::change_input,      &Mutator::change_input,
        &Mutator::change_output,    &Mutator::add_node,          &Mutator::add_node,
        &Mutator::remove_node,      &Mutator::change_ends,       &Mutator::change_ends,
        &Mutator::change_opset,     &Mutator::add_initializer,   &Mutator::drop_shapes,
        &Mutator::move_initializer, &Mutator::duplicate_a_value,
    };
    (this->*kChanges[below(std::size(kChanges))])();
  }

 private:
  size_t below(size_t count) { return count == 0 ? 0 : random_() % count; }
  bool often(size_t in) { return below(in) != 0; }

  int64_t integer() {
    if (often(3)) return kInteresting[below(std::size(kInteresting))];
    return static_cast<int64_t>(below(24)) - 4;
  }
  int64_t extent() { return often(4) ? static_cast<int64_t>(below(9)) : integer(); }
  float real() {
    if (often(3)) return kInterestingReals[below(std::size(kInterestingReals))];
    return static_cast<float>(below(2000)) / 100 - 10;
  }

  template <class List>
  auto* any(List* list) {
    return list->empty() ? nullptr : list->Mutable(static_cast<int>(below(size_t(list->size()))));
  }
  TensorProto* any_tensor() {
    if (often(8)) return any(graph_.mutable_initializer());
    onnx::NodeProto* node = any(graph_.mutable_node());
    AttributeProto* attribute = node != nullptr ? any(node->mutable_attribute()) : nullptr;
    return attribute != nullptr && attribute->has_t() ? attribute->mutable_t() : nullptr;
  }

  std::vector<std::string> values() {
    std::vector<std::string> names = {""};
    for (const auto& input : graph_.input()) names.push_back(input.name());
    for (const auto& tensor : graph_.initializer()) names.push_back(tensor.name());
    for (const auto& node : graph_.node())
      names.insert(names.end(), node.output().begin(), node.output().end());
    return names;
  }
  std::string any_value() {
    const auto names = values();
    return names[below(names.size())];
  }
  std::string new_value() {
    const auto names = values();
    for (int i = 0;; ++i) {
      const std::string name = "v" + std::to_string(i);
      if (std::find(names.begin(), names.end(), name) == names.end()) return name;
    }
  }

  template <class List>
  void change_list(List* list) {
    const auto size = static_cast<size_t>(list->size());
    const size_t kind = below(size == 0 ? 1 : 4);
    if (kind == 0) {
      list->Add(extent());
    } else if (kind == 1) {
      list->RemoveLast();
    } else if (kind == 2 && size > 1) {
      list->SwapElements(static_cast<int>(below(size)), static_cast<int>(below(size)));
    } else {
      list->Set(static_cast<int>(below(size)), extent());
    }
  }

  // Gives a tensor data that fit its dims and type, made of the bytes it has.
  void fit_data(TensorProto& tensor) {
    int64_t elements = 1;
    for (const int64_t dim : tensor.dims()) {
      if (dim < 0 || dim > kMostElements) return;
      elements *= dim;
      if (elements > kMostElements) return;
    }
    std::string bytes = tensor.raw_data();
    for (const float v : tensor.float_data()) add_bytes(bytes, v);
    for (const int32_t v : tensor.int32_data()) add_bytes(bytes, v);
    for (const int64_t v : tensor.int64_data()) add_bytes(bytes, v);
    if (bytes.empty()) bytes.push_back(1);
    size_t bits = 8;
    for (const auto& [type, width] : {std::pair{1, 32},
                                      {4, 16},
                                      {5, 16},
                                      {6, 32},
                                      {7, 64},
                                      {11, 64},
                                      {12, 32},
                                      {13, 64},
                                      {21, 4},
                                      {22, 4},
                                      {25, 2},
                                      {26, 2}}) {
      if (tensor.data_type() == type) bits = static_cast<size_t>(width);
    }
    const size_t wanted = (static_cast<size_t>(elements) * bits + 7) / 8;
    std::string fitted(wanted, '\0');
    for (size_t i = 0; i < wanted; ++i) fitted[i] = bytes[i % bytes.size()];
    tensor.clear_float_data();
    tensor.clear_int32_data();
    tensor.clear_int64_data();
    tensor.clear_double_data();
    tensor.clear_uint64_data();
    tensor.set_raw_data(fitted);
  }
  template <class T>
  static void add_bytes(std::string& bytes, T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes.append(raw, sizeof(T));
  }

  void change_dims() {
    TensorProto* tensor = any_tensor();
    if (tensor == nullptr) return;
    change_list(tensor->mutable_dims());
    if (often(8)) fit_data(*tensor);
  }

  void change_elements() {
    TensorProto* tensor = any_tensor();
    if (tensor == nullptr) return;
    if (tensor->float_data_size() != 0) {
      tensor->set_float_data(static_cast<int>(below(size_t(tensor->float_data_size()))), real());
    } else if (tensor->int64_data_size() != 0) {
      tensor->set_int64_data(static_cast<int>(below(size_t(tensor->int64_data_size()))), integer());
    } else if (tensor->int32_data_size() != 0) {
      tensor->set_int32_data(static_cast<int>(below(size_t(tensor->int32_data_size()))),
                             static_cast<int32_t>(integer()));
    } else if (!tensor->raw_data().empty()) {
      std::string& bytes = *tensor->mutable_raw_data();
      std::string value;
      if (tensor->data_type() == TensorProto::FLOAT) {
        add_bytes(value, real());
      } else if (tensor->data_type() == TensorProto::DOUBLE) {
        add_bytes(value, static_cast<double>(real()));
      } else if (tensor->data_type() == TensorProto::INT64) {
        add_bytes(value, integer());
      } else if (tensor->data_type() == TensorProto::INT32) {
        add_bytes(value, static_cast<int32_t>(integer()));
      } else {
        add_bytes(value, static_cast<uint8_t>(integer()));
      }
      const size_t count = bytes.size() / value.size();
      if (count != 0) bytes.replace(below(count) * value.size(), value.size(), value);
    }
  }

  void change_type() {
    TensorProto* tensor = any_tensor();
    if (tensor == nullptr) return;
    tensor->set_data_type(kTypes[below(std::size(kTypes))]);
    if (often(8)) fit_data(*tensor);
  }

  void change_attribute() {
    onnx::NodeProto* node = any(graph_.mutable_node());
    AttributeProto* attribute = node != nullptr ? any(node->mutable_attribute()) : nullptr;
    if (attribute == nullptr) return;
    switch (attribute->type()) {
      case AttributeProto::INT:
        return attribute->set_i(integer());
      case AttributeProto::FLOAT:
        return attribute->set_f(real());
      case AttributeProto::STRING:
        return attribute->set_s(kTexts[below(std::size(kTexts))]);
      case AttributeProto::INTS:
        if (often(4)) return change_list(attribute->mutable_ints());
        return attribute->mutable_ints()->Add(integer());
      case AttributeProto::FLOATS:
        return attribute->mutable_floats()->Add(real());
      default:
        return;
    }
  }

  void add_attribute() {
    onnx::NodeProto* node = any(graph_.mutable_node());
    if (node == nullptr) return;
    const Operator* op = find_operator(domain_of(*node), node->op_type());
    if (op == nullptr || op->attributes.empty()) return;
    const std::string name = op->attributes[below(op->attributes.size())];
    for (const auto& attribute : node->attribute()) {
      if (attribute.name() == name) return;
    }
    AttributeProto& attribute = *node->add_attribute();
    attribute.set_name(name);
    static const std::set<std::string> kLists = {
        "pads", "strides", "dilations",      "kernel_shape", "axes",
        "perm", "split",   "output_padding", "output_shape", "sizes"};
    static const std::set<std::string> kRealNames = {
        "alpha", "beta",          "epsilon",   "min",      "max",     "value",
        "gamma", "cubic_coeff_a", "out_scale", "out_bias", "momentum"};
    static const std::set<std::string> kTextNames = {"auto_pad",
                                                     "mode",
                                                     "rounding_mode",
                                                     "data_layout",
                                                     "approximate",
                                                     "nearest_mode",
                                                     "coordinate_transformation_mode",
                                                     "keep_aspect_ratio_policy"};
    if (kLists.contains(name)) {
      attribute.set_type(AttributeProto::INTS);
      for (size_t i = below(6); i > 0; --i) attribute.add_ints(extent());
    } else if (kRealNames.contains(name)) {
      attribute.set_type(AttributeProto::FLOAT);
      attribute.set_f(real());
    } else if (kTextNames.contains(name)) {
      attribute.set_type(AttributeProto::STRING);
      attribute.set_s(kTexts[below(std::size(kTexts))]);
    } else {
      attribute.set_type(AttributeProto::INT);
      attribute.set_i(integer());
    }
  }

  static std::string domain_of(const onnx::NodeProto& node) {
    if (node.domain() == "ai.onnx") return kOnnxDomain;
    return node.domain().starts_with("qonnx") ? kQonnxDomain : node.domain();
  }

  void remove_attribute() {
    onnx::NodeProto* node = any(graph_.mutable_node());
    if (node == nullptr || node->attribute_size() == 0) return;
    node->mutable_attribute()->DeleteSubrange(
        static_cast<int>(below(size_t(node->attribute_size()))), 1);
  }

  void set_operator(onnx::NodeProto& node) {
    static const std::vector<std::string> kNames = operator_names();
    std::string name = kNames[below(kNames.size())];
    node.set_domain("");
    if (name.starts_with("com.microsoft.")) {
      node.set_domain(kMicrosoftDomain);
    } else if (name.starts_with("qonnx.")) {
      node.set_domain("qonnx.custom_op.general");
    }
    if (const size_t dot = name.rfind('.'); dot != std::string::npos) name = name.substr(dot + 1);
    node.set_op_type(name);
  }

  void change_operator() {
    onnx::NodeProto* node = any(graph_.mutable_node());
    if (node == nullptr) return;
    set_operator(*node);
    if (often(2)) node->clear_attribute();
  }

  void change_input() {
    onnx::NodeProto* node = any(graph_.mutable_node());
    if (node == nullptr) return;
    const size_t kind = below(node->input_size() == 0 ? 1 : 6);
    if (kind == 0) {
      node->add_input(any_value());
    } else if (kind == 1) {
      node->mutable_input()->RemoveLast();
    } else {
      node->set_input(static_cast<int>(below(size_t(node->input_size()))), any_value());
    }
  }

  void change_output() {
    onnx::NodeProto* node = any(graph_.mutable_node());
    if (node == nullptr) return;
    const size_t kind = below(node->output_size() == 0 ? 1 : 4);
    if (kind == 0) {
      node->add_output(often(3) ? new_value() : "");
    } else if (kind == 1) {
      node->mutable_output()->RemoveLast();
    } else {
      node->set_output(static_cast<int>(below(size_t(node->output_size()))), new_value());
    }
  }

  // Between a value and one of its readers.
  void add_node() {
    const std::string value = any_value(), written = new_value();
    for (auto& node : *graph_.mutable_node()) {
      for (std::string& input : *node.mutable_input()) {
        if (input == value && often(2)) input = written;
      }
    }
    if (often(2)) {
      for (auto& output : *graph_.mutable_output()) {
        if (output.name() == value || often(2)) output.set_name(written);
        output.mutable_type()->mutable_tensor_type()->clear_shape();
      }
    }
    onnx::NodeProto& node = *graph_.add_node();
    set_operator(node);
    node.add_input(value);
    const Operator* op = find_operator(domain_of(node), node.op_type());
    const size_t wanted = op == nullptr ? 1 : op->min_inputs + below(2);
    while (static_cast<size_t>(node.input_size()) < wanted) node.add_input(any_value());
    node.add_output(written);
  }

  void remove_node() {
    if (graph_.node_size() < 2) return;
    const int at = static_cast<int>(below(size_t(graph_.node_size())));
    const onnx::NodeProto gone = graph_.node(at);
    graph_.mutable_node()->DeleteSubrange(at, 1);
    if (gone.input_size() == 0 || gone.output_size() == 0) return;
    for (auto& node : *graph_.mutable_node()) {
      for (std::string& input : *node.mutable_input()) {
        if (input == gone.output(0)) input = gone.input(0);
      }
    }
    for (auto& output : *graph_.mutable_output()) {
      if (output.name() == gone.output(0)) output.set_name(gone.input(0));
    }
  }

  void change_ends() {
    auto* end = any(often(3) ? graph_.mutable_input() : graph_.mutable_output());
    if (end == nullptr) return;
    auto* type = end->mutable_type()->mutable_tensor_type();
    switch (below(5)) {
      case 0:
        return type->set_elem_type(kTypes[below(std::size(kTypes))]);
      case 1:
        return end->set_name(any_value());
      case 2:
        return type->clear_shape();
      default:
        break;
    }
    auto* dims = type->mutable_shape()->mutable_dim();
    const size_t kind = below(dims->empty() ? 1 : 4);
    if (kind == 0) {
      dims->Add()->set_dim_value(extent());
    } else if (kind == 1) {
      dims->RemoveLast();
    } else {
      auto& dim = *dims->Mutable(static_cast<int>(below(size_t(dims->size()))));
      dim.Clear();
      if (often(4)) dim.set_dim_value(extent());
    }
  }

  void change_opset() {
    auto* import = any(model_.mutable_opset_import());
    if (import == nullptr) return;
    import->set_version(6 + static_cast<int64_t>(below(20)));
    if (often(3)) return;
    import = model_.add_opset_import();
    import->set_domain("qonnx.custom_op.general");
    import->set_version(1 + static_cast<int64_t>(below(2)));
  }

  void add_initializer() {
    TensorProto& tensor = *graph_.add_initializer();
    tensor.set_name(new_value());
    tensor.set_data_type(kTypes[below(std::size(kTypes))]);
    for (size_t i = below(5); i > 0; --i) tensor.add_dims(static_cast<int64_t>(below(5)));
    add_bytes(*tensor.mutable_raw_data(), integer());
    fit_data(tensor);
    onnx::NodeProto* node = any(graph_.mutable_node());
    if (node != nullptr && node->input_size() != 0)
      node->set_input(static_cast<int>(below(size_t(node->input_size()))), tensor.name());
  }

  // The declared shapes mostly get in the way of other changes.
  void drop_shapes() {
    for (auto& output : *graph_.mutable_output())
      output.mutable_type()->mutable_tensor_type()->clear_shape();
  }

  // A constant becomes an input, or an attribute's tensor an initializer's copy.
  void move_initializer() {
    if (graph_.initializer_size() == 0) return;
    const int at = static_cast<int>(below(size_t(graph_.initializer_size())));
    const TensorProto& tensor = graph_.initializer(at);
    auto& input = *graph_.add_input();
    input.set_name(tensor.name());
    auto* type = input.mutable_type()->mutable_tensor_type();
    type->set_elem_type(tensor.data_type());
    for (const int64_t dim : tensor.dims()) type->mutable_shape()->add_dim()->set_dim_value(dim);
    graph_.mutable_initializer()->DeleteSubrange(at, 1);
  }

  void duplicate_a_value() {
    onnx::NodeProto* node = any(graph_.mutable_node());
    if (node == nullptr) return;
    const onnx::NodeProto copy = *node;
    onnx::NodeProto& added = *graph_.add_node();
    added = copy;
    for (std::string& output : *added.mutable_output()) {
      const std::string other = new_value();
      auto* reader = any(graph_.mutable_node());
      for (std::string& input : *reader->mutable_input()) {
        if (input == output) input = other;
      }
      output = other;
    }
  }

  onnx::ModelProto& model_;
  onnx::GraphProto& graph_;
  std::mt19937& random_;
};

}  // namespace

void mutate(onnx::ModelProto& model, std::mt19937& random) {
  Mutator mutator(model, random);
  for (unsigned changes = 1 + random() % 4; changes > 0; --changes) mutator.once();
}

void append(onnx::ModelProto& model, const onnx::ModelProto& other, std::mt19937& random) {
  onnx::GraphProto& graph = *model.mutable_graph();
  if (graph.output_size() == 0 || other.graph().input_size() == 0) return;
  const std::string joint = graph.output(0).name(), read = other.graph().input(0).name();
  const auto renamed = [&](const std::string& name) {
    if (name.empty()) return name;
    return name == read ? joint : "b_" + name;
  };
  for (const auto& tensor : other.graph().initializer()) {
    auto& added = *graph.add_initializer();
    added = tensor;
    added.set_name(renamed(tensor.name()));
  }
  for (int i = 1; i < other.graph().input_size(); ++i) {
    auto& added = *graph.add_input();
    added = other.graph().input(i);
    added.set_name(renamed(added.name()));
  }
  for (const auto& node : other.graph().node()) {
    auto& added = *graph.add_node();
    added = node;
    for (std::string& value : *added.mutable_input()) value = renamed(value);
    for (std::string& value : *added.mutable_output()) value = renamed(value);
  }
  if (random() % 4 != 0) graph.clear_output();
  for (const auto& output : other.graph().output()) {
    auto& added = *graph.add_output();
    added = output;
    added.set_name(renamed(added.name()));
    added.mutable_type()->mutable_tensor_type()->clear_shape();
  }
  for (const auto& import : other.opset_import()) {
    bool known = false;
    for (const auto& own : model.opset_import()) known = known || own.domain() == import.domain();
    if (!known) *model.add_opset_import() = import;
  }
}

}  // namespace widthwise
