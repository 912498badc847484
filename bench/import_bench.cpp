// Time and peak memory of importing a network; bench/import runs it. The file is made by one
// process and read by others, so that a peak is the import's own.
//   import_bench make <file> large|nodes|constants|names
//   import_bench layers|fuse <file>
#include <fmt/format.h>
#include <onnx/onnx_pb.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "models/fold.h"
#include "models/fuse.h"
#include "models/lowering.h"
#include "models/onnx_import.h"

namespace widthwise {
namespace {

constexpr double kMebibyte = 1024.0 * 1024;

class Maker {
 public:
  Maker() {
    model_.set_ir_version(7);
    auto* import = model_.add_opset_import();
    import->set_domain("");
    import->set_version(13);
  }

  void value(onnx::ValueInfoProto& info, const std::string& name, const Shape& image) {
    info.set_name(name);
    auto* type = info.mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_param("N");
    for (const int64_t extent : image) type->mutable_shape()->add_dim()->set_dim_value(extent);
  }

  std::string weight(const std::string& name, const Shape& shape) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t extent : shape) tensor.add_dims(extent);
    std::vector<float> values(static_cast<size_t>(shape_elements(shape)));
    for (float& v : values) v = std::uniform_real_distribution<float>(0.01F, 0.02F)(random_);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    return name;
  }

  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::string& output) {
    auto& node = *graph().add_node();
    node.set_op_type(op);
    node.set_name(output);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
    return node;
  }

  // Eight 3x3 convolutions of 512 channels with batch normalization, then a Gemm of 4096 x 1000:
  // 97 MiB of weights.
  void large() {
    value(*graph().add_input(), "x", {512, 14, 14});
    std::string at = "x";
    for (int i = 0; i < 10; ++i) {
      const std::string name = fmt::format("conv{}", i);
      auto& conv = node("Conv", {at, weight(name + ".w", {512, 512, 3, 3})}, name);
      auto* pads = conv.add_attribute();
      pads->set_name("pads");
      pads->set_type(onnx::AttributeProto::INTS);
      for (int k = 0; k < 4; ++k) pads->add_ints(1);
      std::vector<std::string> inputs = {name};
      for (const char* what : {".scale", ".bias", ".mean", ".var"})
        inputs.push_back(weight(name + what, {512}));
      node("BatchNormalization", inputs, name + "_bn");
      at = name + "_relu";
      node("Relu", {name + "_bn"}, at);
    }
    node("GlobalAveragePool", {at}, "pool");
    node("Flatten", {"pool"}, "flat");
    node("Gemm", {"flat", weight("fc.w", {512, 4096})}, "fc");
    value(*graph().add_output(), "fc", {4096});
  }

  // 20,000 nodes: Mul and Relu of 4 features.
  void nodes() {
    value(*graph().add_input(), "x", {4});
    std::string at = "x";
    for (int i = 0; i < 10000; ++i) {
      const std::string name = fmt::format("n{}", i);
      node("Mul", {at, weight(name + ".w", {4})}, name);
      at = name + "r";
      node("Relu", {name}, at);
    }
    value(*graph().add_output(), at, {4});
  }

  // 20,000 nodes that fold away, and one that stays.
  void constants() {
    value(*graph().add_input(), "x", {4});
    std::string at = weight("w", {4});
    for (int i = 0; i < 20000; ++i) {
      const std::string name = fmt::format("n{}", i);
      node(i % 2 == 0 ? "Relu" : "Identity", {at}, name);
      at = name;
    }
    node("Mul", {"x", at}, "y");
    value(*graph().add_output(), "y", {4});
  }

  // 20,000 nodes of one name, half of them copies to outputs, and 5,000 batch normalizations.
  void names() {
    value(*graph().add_input(), "x", {4});
    std::string at = "x";
    for (int i = 0; i < 5000; ++i) {
      const std::string name = fmt::format("n{}", i);
      node("Gemm", {at, weight(name + ".w", {4, 4})}, name + "g").set_name("same");
      std::vector<std::string> inputs = {name + "g"};
      for (const char* what : {".scale", ".bias", ".mean", ".var"})
        inputs.push_back(weight(name + what, {4}));
      node("BatchNormalization", inputs, name + "b").set_name("same");
      at = name + "r";
      node("Relu", {name + "b"}, at).set_name("same");
      node("Identity", {at}, name + "o").set_name("same");
      if (i % 2 == 0) value(*graph().add_output(), name + "o", {4});
    }
    if (graph().output_size() == 0) value(*graph().add_output(), at, {4});
  }

  void write(const std::filesystem::path& path) const {
    std::ofstream stream(path, std::ios::binary);
    if (!model_.SerializeToOstream(&stream)) throw std::runtime_error("cannot write the network");
  }

 private:
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  onnx::ModelProto model_;
  std::mt19937 random_{1};
};

double peak_mib() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 3 && arguments[0] == "make") {
    Maker maker;
    if (arguments[2] == "large") maker.large();
    if (arguments[2] == "nodes") maker.nodes();
    if (arguments[2] == "constants") maker.constants();
    if (arguments[2] == "names") maker.names();
    maker.write(arguments[1]);
    return 0;
  }
  if (arguments.size() != 2) return 1;
  const double before_mib = peak_mib();
  const auto start = std::chrono::steady_clock::now();
  const std::filesystem::path path = arguments[1];
  const double file_mib = static_cast<double>(std::filesystem::file_size(path)) / kMebibyte;
  size_t steps = 0;
  if (arguments[0] == "layers") {
    const Graph graph = fold(load_graph(path));
    steps = lower(graph).layers.size();
  } else {
    steps = fuse(load_graph(path)).nodes.size();
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::cout << fmt::format(
      "{:<8} {:<10} file {:7.2f} MiB  {:6.3f} s  peak {:7.1f} MiB, {:.2f} x the file  {} steps\n",
      arguments[0], path.stem().string(), file_mib, time.count(), peak_mib() - before_mib,
      (peak_mib() - before_mib) / file_mib, steps);
  return 0;
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  try {
    return widthwise::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
