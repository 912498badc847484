// Whole quantized networks against ONNX Runtime and QONNX's executor, and P-bit accumulators of
// their multiply-accumulate layers against an independent simulator. Every folder of onnxruntime/,
// qonnx-ops/ and qonnx-models/ below WIDTHWISE_CONFORMANCE that holds a model is read, with all of
// its data sets.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <set>

#include "core/error.h"
#include "models/constant_folding.h"
#include "models/onnx_import.h"
#include "models/onnx_tensor.h"
#include "models/operator.h"
#include "sim/reference.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
using Values = std::map<std::string, Tensor>;

fs::path conformance_folder() {
  const char* named = std::getenv("WIDTHWISE_CONFORMANCE");
  return named != nullptr && *named != '\0'
             ? fs::path(named)
             : fs::path(WIDTHWISE_TREE) / ".." / "shared" / "conformance";
}

std::vector<fs::path> sorted(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

struct Case {
  std::string name;  // "qconv_1d_u8s8", "TFC_2W2A/model_clean.onnx"
  fs::path model, meta;
  std::vector<fs::path> data_sets;
};
std::vector<Case> cases(const std::string& suite) {
  std::vector<Case> all;
  for (const fs::path& folder : sorted(conformance_folder() / suite)) {
    for (const char* file : {"model.onnx", "model_clean.onnx"}) {
      if (!fs::exists(folder / file)) continue;
      Case& c = all.emplace_back();
      c.name = folder.filename().string();
      if (suite == "qonnx-models") c.name += std::string("/") + file;
      c.model = folder / file;
      c.meta = folder / "meta.json";
      for (const fs::path& path : sorted(folder)) {
        if (path.filename().string().starts_with("test_data_set_")) c.data_sets.push_back(path);
      }
    }
  }
  return all;
}

// input_0.pb, input_1.pb, ...
std::vector<Tensor> numbered(const fs::path& folder, const std::string& what) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; fs::exists(folder / fmt::format("{}_{}.pb", what, i)); ++i)
    tensors.push_back(load_tensor_proto(folder / fmt::format("{}_{}.pb", what, i)));
  return tensors;
}

Graph load_folded(const fs::path& path) {
  Graph graph = load_graph(path);
  fold_constants(graph, {.keep_quantized_constants = true});
  return graph;
}

NodeView bound(const Graph& graph, const GraphNode& node, const Values& values) {
  std::vector<const Tensor*> inputs;
  for (const std::string& name : node.inputs) {
    const auto found = values.find(name);
    inputs.push_back(name.empty() || found == values.end() ? nullptr : &found->second);
  }
  return {graph, node, std::move(inputs)};
}

// All values of the network, node by node.
Values run(const Graph& graph, const std::vector<Tensor>& inputs) {
  Values values(graph.initializers.begin(), graph.initializers.end());
  for (size_t i = 0; i < std::min(inputs.size(), graph.inputs.size()); ++i)
    values[graph.inputs[i].name] = inputs[i];
  for (const GraphNode& node : graph.nodes) {
    const std::vector<Tensor> outputs = evaluate_node(bound(graph, node, values));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.outputs[i].empty()) values[node.outputs[i]] = outputs[i];
    }
  }
  return values;
}

// "node 'Mul_4' (Mul): operator is not supported"
std::string reason(const InputError& error) {
  const std::string& problem = error.problem().problem;
  return fmt::format("{}: {} {}", error.problem().where, error.problem().field,
                     problem.substr(0, problem.find(';')));
}

// A float operator between DequantizeLinear and QuantizeLinear, which ONNX Runtime fuses.
// TODO(fuse): until these are fused here, they run in float32 and may differ near ties.
bool needs_fusion(const Graph& graph) {
  std::set<std::string> real;
  for (const GraphNode& node : graph.nodes) {
    for (const std::string& input : node.inputs) {
      if (real.contains(input)) return true;
    }
    if (node.op_type == "DequantizeLinear") real.insert(node.outputs.begin(), node.outputs.end());
  }
  return false;
}

struct Difference {
  int64_t elements = 0, different = 0;
  double largest = 0;
  bool exact() const { return different == 0; }
};
Difference difference(const Tensor& found, const Tensor& wanted) {
  EXPECT_EQ(found.shape(), wanted.shape());
  EXPECT_EQ(found.type(), wanted.type());
  Difference d{.elements = wanted.elements()};
  if (found.shape() != wanted.shape() || found.type() != wanted.type()) {
    d.different = d.elements;
    d.largest = std::numeric_limits<double>::infinity();
    return d;
  }
  if (found == wanted) return d;
  for (int64_t i = 0; i < d.elements; ++i) {
    const double distance = std::abs(found.real(i) - wanted.real(i));
    d.different += distance != 0;
    d.largest = std::max(d.largest, distance);
  }
  return d;
}

int64_t largest_element(const Tensor& tensor) {
  int64_t best = 0;
  for (int64_t i = 1; i < tensor.elements(); ++i) {
    if (tensor.real(i) > tensor.real(best)) best = i;
  }
  return best;
}

// --- P-bit accumulators ---

struct Counts {
  int64_t found = 0, exact = 0;
  int64_t real = 0;  // of float operators: see needs_fusion
};

Accumulation one_chain(int bits, OverflowPolicy policy) {
  Accumulation accumulation;  // channel, row, column; bias preloaded
  accumulation.stages = {Stage{.bits = bits, .overflow = policy}};
  return accumulation;
}

void compare_accumulators(const Case& c, const fs::path& data_set, const Graph& graph,
                          const Values& values, Counts& counts) {
  const YAML::Node meta = YAML::LoadFile(c.meta.string());
  static const std::set<std::string> mac_operators = {
      "Conv",          "Gemm",        "MatMul",        "ConvInteger",
      "MatMulInteger", "QLinearConv", "QLinearMatMul", "QGemm"};
  std::vector<const GraphNode*> nodes;  // in the order of meta's
  for (const GraphNode& node : graph.nodes) {
    if (mac_operators.contains(node.op_type)) nodes.push_back(&node);
  }
  ASSERT_EQ(nodes.size(), meta["macs"].size());
  for (size_t n = 0; n < nodes.size(); ++n) {
    const MacOperator* mac = find_operator(nodes[n]->domain, nodes[n]->op_type)->mac;
    for (const YAML::Node& sim : meta["macs"][n]["sims"]) {
      ++counts.found;
      if (mac == nullptr) {
        EXPECT_TRUE(needs_fusion(graph)) << nodes[n]->name;
        ++counts.real;
        continue;
      }
      const int bits = sim["P"].as<int>();
      const Accumulation accumulation =
          one_chain(bits, sim["mode"].as<std::string>() == "wrap" ? OverflowPolicy::kWrap
                                                                  : OverflowPolicy::kSaturate);
      std::vector<int64_t> sums;
      int64_t overflow_adds = 0, overflow_outputs = 0;
      for (const IntegerMatmul& matmul : mac->matmuls(bound(graph, *nodes[n], values))) {
        const auto elements = static_cast<size_t>(matmul.workload.window.ifmap_elements());
        std::vector<int32_t> bias = matmul.bias;
        bias.resize(static_cast<size_t>(matmul.workload.window.ofmap_channels), 0);
        for (int64_t image = 0; image < matmul.images; ++image) {
          const auto codes =
              std::span(matmul.ifmap).subspan(static_cast<size_t>(image) * elements, elements);
          const LayerSums layer =
              reference_matmul(matmul.workload, codes, matmul.ifmap_zero_point, matmul.weights,
                               bias, accumulation, matmul.weight_zero_points);
          sums.insert(sums.end(), layer.accumulators.begin(), layer.accumulators.end());
          for (const int64_t overflows : layer.overflow_counts) {
            overflow_adds += overflows;
            overflow_outputs += overflows != 0;
          }
        }
      }
      const std::string what = fmt::format("{}: {} in {} bits, {}", c.name, nodes[n]->name, bits,
                                           sim["mode"].as<std::string>());
      const Tensor wanted = load_tensor_proto(data_set / sim["file"].as<std::string>());
      EXPECT_EQ(sums, wanted.integers()) << what;
      EXPECT_EQ(overflow_adds, sim["overflow_adds"].as<int64_t>()) << what;
      EXPECT_EQ(overflow_outputs, sim["overflow_outputs"].as<int64_t>()) << what;
      counts.exact += sums == wanted.integers() &&
                      overflow_adds == sim["overflow_adds"].as<int64_t>() &&
                      overflow_outputs == sim["overflow_outputs"].as<int64_t>();
    }
  }
}

TEST(QuantizedModels, OnnxRuntime) {
  const std::vector<Case> all = cases("onnxruntime");
  if (all.empty())
    GTEST_SKIP() << "skipped: no models below " << (conformance_folder() / "onnxruntime").string();
  int64_t exact = 0, refused = 0, unfused = 0, unfused_exact = 0;
  Counts accumulators;
  for (const Case& c : all) {
    SCOPED_TRACE(c.name);
    try {
      const Graph graph = load_folded(c.model);
      const bool fusion = needs_fusion(graph);
      bool all_exact = true;
      for (const fs::path& data_set : c.data_sets) {
        const Values values = run(graph, numbered(data_set, "input"));
        const std::vector<Tensor> wanted = numbered(data_set, "output");
        ASSERT_EQ(wanted.size(), graph.outputs.size());
        for (size_t i = 0; i < wanted.size(); ++i) {
          const Difference d = difference(values.at(graph.outputs[i].name), wanted[i]);
          all_exact = all_exact && d.exact();
          if (d.exact()) continue;
          fmt::print("  {}{}: {} of {} outputs differ, by {} at most\n", c.name,
                     fusion ? " (not fused)" : "", d.different, d.elements, d.largest);
          if (!fusion) ADD_FAILURE() << d.different << " outputs differ";
        }
        if (fs::exists(c.meta)) compare_accumulators(c, data_set, graph, values, accumulators);
      }
      exact += all_exact;
      unfused += fusion;
      unfused_exact += fusion && all_exact;
    } catch (const InputError& error) {
      ++refused;
      fmt::print("  {}: refused: {}\n", c.name, reason(error));
      EXPECT_TRUE(c.name.starts_with("qdq_")) << error.what();
    }
  }
  fmt::print(
      "onnxruntime: {} models found, {} exact, {} refused; of {} that ONNX Runtime fuses {} are "
      "exact unfused\naccumulators: {} found, {} exact, {} of operators that ONNX Runtime fuses\n",
      all.size(), exact, refused, unfused, unfused_exact, accumulators.found, accumulators.exact,
      accumulators.real);
}

TEST(QuantizedModels, QonnxOperators) {
  const std::vector<Case> all = cases("qonnx-ops");
  if (all.empty())
    GTEST_SKIP() << "skipped: no models below " << (conformance_folder() / "qonnx-ops").string();
  int64_t exact = 0;
  for (const Case& c : all) {
    SCOPED_TRACE(c.name);
    const Graph graph = load_graph(c.model);
    bool all_exact = true;
    for (const fs::path& data_set : c.data_sets) {
      const Values values = run(graph, numbered(data_set, "input"));
      const std::vector<Tensor> wanted = numbered(data_set, "output");
      for (size_t i = 0; i < wanted.size(); ++i) {
        const Difference d = difference(values.at(graph.outputs[i].name), wanted[i]);
        EXPECT_EQ(d.different, 0) << "of " << d.elements << ", by " << d.largest << " at most";
        all_exact = all_exact && d.exact();
      }
    }
    exact += all_exact;
  }
  fmt::print("qonnx-ops: {} found, {} exact\n", all.size(), exact);
}

// Sums of products are taken in double here and in float32 there, so the real numbers between two
// quantizations differ in their last bits, and a code may when it lies at a tie.
TEST(QuantizedModels, QonnxNetworks) {
  const std::vector<Case> all = cases("qonnx-models");
  if (all.empty())
    GTEST_SKIP() << "skipped: no models below " << (conformance_folder() / "qonnx-models").string();
  int64_t runs = 0, exact = 0, refused = 0;
  for (const Case& c : all) {
    SCOPED_TRACE(c.name);
    try {
      const Graph graph = load_folded(c.model);
      for (const fs::path& data_set : c.data_sets) {
        ++runs;
        const Values values = run(graph, numbered(data_set, "input"));
        const Tensor wanted = numbered(data_set, "output").at(0);
        const Tensor& found = values.at(graph.outputs.at(0).name);
        const Difference d = difference(found, wanted);
        exact += d.exact();
        fmt::print("  {} {}: {} of {} differ, by {} at most; argmax {}\n", c.name,
                   data_set.filename().string(), d.different, d.elements, d.largest,
                   largest_element(found) == largest_element(wanted) ? "equal" : "differs");
        EXPECT_EQ(largest_element(found), largest_element(wanted));
        double scale = 1;
        for (const double value : wanted.reals()) scale = std::max(scale, std::abs(value));
        EXPECT_LE(d.largest, 1e-5 * scale);
      }
    } catch (const InputError& error) {
      refused += std::ssize(c.data_sets);
      fmt::print("  {}: refused: {}\n", c.name, reason(error));
    }
  }
  fmt::print("qonnx-models: {} runs found, {} exact, {} refused\n", runs + refused, exact, refused);
}

}  // namespace
}  // namespace widthwise
