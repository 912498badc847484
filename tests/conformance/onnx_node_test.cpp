// The operators against the standard's own node tests: every folder with a model.onnx below
// onnx-node/ of WIDTHWISE_CONFORMANCE and below Debian's libonnx-testdata (WIDTHWISE_ONNX_TESTDATA
// names another folder). Integers must be equal, real numbers within the standard's tolerance.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/error.h"
#include "models/constant_folding.h"
#include "models/onnx_import.h"
#include "models/onnx_tensor.h"
#include "models/operator.h"

namespace widthwise {
namespace {

namespace fs = std::filesystem;
constexpr double kRelative = 1e-3, kAbsolute = 1e-7;  // of the standard's backend tests

fs::path folder_of(const char* variable, const fs::path& otherwise) {
  const char* named = std::getenv(variable);
  return named != nullptr && *named != '\0' ? fs::path(named) : otherwise;
}
fs::path standard_folder() {
  return folder_of("WIDTHWISE_CONFORMANCE",
                   fs::path(WIDTHWISE_TREE) / ".." / "shared" / "conformance") /
         "onnx-node";
}
fs::path debian_folder() {
  return folder_of("WIDTHWISE_ONNX_TESTDATA", "/usr/share/libonnx-testdata/data");
}

std::vector<fs::path> case_folders(const fs::path& root) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(root, ignored)) {
    if (entry.path().filename() == "model.onnx") folders.push_back(entry.path().parent_path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// A tensor file, in which floats may be NaN: they are taken as the bits that they are.
Tensor load_tensor(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  onnx::TensorProto proto;
  const bool parsed = proto.ParseFromIstream(&stream);
  if (!parsed || proto.data_type() != onnx::TensorProto::FLOAT || !proto.has_raw_data())
    return load_tensor_proto(path);
  proto.set_data_type(onnx::TensorProto::UINT32);
  return convert_tensor(proto, path.string(), "tensor", path.parent_path())
      .retyped(ElementType::kFloat);
}

// input_0.pb, input_1.pb, ...
std::vector<Tensor> load_tensors(const fs::path& folder, const char* kind) {
  std::vector<Tensor> tensors;
  for (int i = 0;; ++i) {
    const fs::path path = folder / fmt::format("{}_{}.pb", kind, i);
    if (!fs::exists(path)) return tensors;
    tensors.push_back(load_tensor(path));
  }
}

// The tensor of a Constant node, which no operator evaluates.
std::vector<Tensor> constant_outputs(const Graph& graph, const GraphNode& node) {
  Graph alone;
  alone.file = graph.file;
  alone.opset = graph.opset;
  alone.nodes = {node};
  fold_constants(alone, {});
  return {alone.initializers.at(node.outputs.at(0))};
}

std::vector<Tensor> run(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::map<std::string, Tensor> values = graph.initializers;
  for (size_t i = 0; i < std::min(inputs.size(), graph.inputs.size()); ++i)
    values[graph.inputs[i].name] = inputs[i];
  for (const GraphNode& node : graph.nodes) {
    std::vector<const Tensor*> bound;
    for (const std::string& value : node.inputs) {
      const auto found = values.find(value);
      bound.push_back(found == values.end() ? nullptr : &found->second);
    }
    const auto outputs = node.op_type == "Constant" && node.domain == kOnnxDomain
                             ? constant_outputs(graph, node)
                             : evaluate_node(NodeView(graph, node, std::move(bound)));
    for (size_t i = 0; i < std::min(node.outputs.size(), outputs.size()); ++i)
      values[node.outputs[i]] = outputs[i];
  }
  std::vector<Tensor> outputs;
  for (const GraphValue& output : graph.outputs) outputs.push_back(values.at(output.name));
  return outputs;
}

// What differs, or nothing; `exact` becomes false where a bit differs.
std::string difference(const Tensor& found, const Tensor& wanted, bool& exact) {
  if (found.type() != wanted.type())
    return fmt::format("type {}, wanted {}", element_type_name(found.type()),
                       element_type_name(wanted.type()));
  if (found.shape() != wanted.shape())
    return fmt::format("shape {}, wanted {}", shape_text(found.shape()),
                       shape_text(wanted.shape()));
  exact = exact && found.bytes() == wanted.bytes();
  for (int64_t i = 0; i < found.elements(); ++i) {
    if (!is_real(found.type())) {
      if (found.integer(i) == wanted.integer(i)) continue;
      return fmt::format("element {} is {}, wanted {}", i, found.integer(i), wanted.integer(i));
    }
    const double f = found.real(i), w = wanted.real(i);
    if (f == w || (std::isnan(f) && std::isnan(w))) continue;
    if (std::abs(f - w) <= kAbsolute + kRelative * std::abs(w)) continue;
    return fmt::format("element {} is {}, wanted {}", i, f, w);
  }
  return "";
}

// One case: an error that names what is refused, or what is wrong, or neither.
struct Outcome {
  std::optional<InputProblem> refused;
  std::string wrong;
  bool exact = true;
};
Outcome run_case(const fs::path& folder) {
  Outcome outcome;
  try {
    const Graph graph = load_graph(folder / "model.onnx");
    int sets = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_directory()) continue;
      ++sets;
      const auto found = run(graph, load_tensors(entry.path(), "input"));
      const auto wanted = load_tensors(entry.path(), "output");
      if (found.size() != wanted.size()) outcome.wrong = "number of outputs";
      for (size_t i = 0; i < std::min(found.size(), wanted.size()) && outcome.wrong.empty(); ++i)
        outcome.wrong = difference(found[i], wanted[i], outcome.exact);
    }
    if (sets == 0) outcome.wrong = "no test_data_set";
  } catch (const InputError& error) {
    outcome.refused = error.problem();
  } catch (const std::exception& error) {
    outcome.wrong = error.what();
  }
  return outcome;
}

// Operators of a model, as operator_names() gives them; subgraphs count.
void add_operators(const onnx::GraphProto& graph, std::set<std::string>& names) {
  for (const auto& node : graph.node()) {
    const std::string domain = node.domain() == "ai.onnx" ? "" : node.domain();
    names.insert(domain + (domain.empty() ? "" : ".") + node.op_type());
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) add_operators(attribute.g(), names);
    }
  }
}
bool operators_known(const fs::path& folder) {
  onnx::ModelProto model;
  std::ifstream stream(folder / "model.onnx", std::ios::binary);
  if (!model.ParseFromIstream(&stream)) return false;
  std::set<std::string> names;
  add_operators(model.graph(), names);
  const auto known = operator_names();
  return std::includes(known.begin(), known.end(), names.begin(), names.end());
}

// Why a case may be refused although its operators are known.
std::string allowed_reason(const InputProblem& problem) {
  const auto begins = [&](const std::string& text) { return problem.problem.starts_with(text); };
  if (problem.field == "data_type") return "element type " + problem.problem.substr(3, 8);
  if (problem.field == "type" && begins("is not a tensor")) return "sequence or optional";
  if (problem.field == "opset") return "opset before 7: operators had other meanings";
  if (problem.field == "training_mode") return "Dropout in training: random";
  return "";
}

struct Count {
  int found = 0, passed = 0, exact = 0;
  std::map<std::string, int> refused;

  void print(const std::string& what) const {
    fmt::print("{}: {} found, {} passed ({} bit-exact)\n", what, found, passed, exact);
    for (const auto& [reason, count] : refused) fmt::print("  refused: {} x{}\n", reason, count);
  }
};

std::string reason_text(const InputProblem& problem) {
  const std::string allowed = allowed_reason(problem);
  if (!allowed.empty()) return allowed;
  const auto begin = problem.where.find('(');
  const std::string op = begin == std::string::npos
                             ? problem.where
                             : problem.where.substr(begin + 1, problem.where.find(')') - begin - 1);
  const std::string problem_text =
      problem.field == "operator" ? "not supported" : problem.problem.substr(0, 60);
  return fmt::format("{}: {} {}", op, problem.field, problem_text);
}

// Names of the cases that ONNX Runtime passes (STATUS.tsv of the folder, fifth column).
std::set<std::string> passed_by_onnxruntime(const fs::path& root) {
  std::set<std::string> names;
  std::ifstream file(root / "STATUS.tsv");
  for (std::string line; std::getline(file, line);) {
    std::istringstream cells(line);
    std::string name, status;
    std::getline(cells, name, '\t');
    for (int i = 0; i < 4; ++i) std::getline(cells, status, '\t');
    if (status == "'exact'" || status == "'close'") names.insert(name);
  }
  return names;
}

TEST(OnnxNodes, OfTheStandard) {
  const fs::path root = standard_folder();
  const auto needed = passed_by_onnxruntime(root);
  Count count;
  for (const fs::path& folder : case_folders(root)) {
    const std::string name = folder.filename().string();
    const Outcome outcome = run_case(folder);
    ++count.found;
    EXPECT_EQ(outcome.wrong, "") << name;
    if (outcome.refused) {
      ++count.refused[reason_text(*outcome.refused)];
      EXPECT_FALSE(needed.contains(name)) << name << ": " << reason_text(*outcome.refused);
    } else if (outcome.wrong.empty()) {
      ++count.passed;
      count.exact += outcome.exact;
    }
  }
  if (count.found == 0) GTEST_SKIP() << "skipped: no node tests below " << root.string();
  count.print("onnx-node");
}

TEST(OnnxNodes, OfDebian) {
  const fs::path root = debian_folder();
  Count count;
  for (const fs::path& folder : case_folders(root)) {
    const std::string name = folder.filename().string();
    const Outcome outcome = run_case(folder);
    ++count.found;
    EXPECT_EQ(outcome.wrong, "") << name;
    if (outcome.refused) {
      ++count.refused[reason_text(*outcome.refused)];
      if (allowed_reason(*outcome.refused).empty()) {
        EXPECT_FALSE(operators_known(folder)) << name << ": " << reason_text(*outcome.refused);
      }
    } else if (outcome.wrong.empty()) {
      ++count.passed;
      count.exact += outcome.exact;
    }
  }
  if (count.found == 0) GTEST_SKIP() << "skipped: no libonnx-testdata below " << root.string();
  count.print("libonnx-testdata");
}

}  // namespace
}  // namespace widthwise
