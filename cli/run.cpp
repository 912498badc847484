#include "cli/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "cli/bench.h"
#include "cli/run_info.h"
#include "core/error.h"
#include "core/files.h"
#include "models/fuse.h"
#include "models/onnx_import.h"
#include "models/tensor_file.h"
#include "quant/quantized_import.h"
#include "reports/text_table.h"
#include "sim/graph_runner.h"

namespace widthwise {
namespace {

constexpr const char* kResultFile = "run.json";

[[noreturn]] void refuse(const std::string& field, const std::string& problem,
                         const std::string& fix) {
  throw InputError({.file = "", .where = "", .field = field, .problem = problem, .fix = fix});
}

constexpr const char* kOverflows = ".overflows";  // beside a layer's accumulators

// The name of a value or node as the name of a file, made unique, and that of its overflow counts.
class FileNames {
 public:
  std::string of(const std::string& name) {
    std::string file = name;
    std::replace_if(
        file.begin(), file.end(),
        [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '-' && c != '_'; },
        '_');
    while (!file.empty() && (file[0] == '_' || file[0] == '.')) file.erase(0, 1);
    constexpr size_t kLongest = 120;
    if (file.size() > kLongest) file = file.substr(file.size() - kLongest);
    if (file.empty()) file = "unnamed";
    std::string unique = file;
    for (int i = 1; used_.contains(unique) || used_.contains(unique + kOverflows); ++i)
      unique = fmt::format("{}_{}", file, i);
    used_.insert({unique, unique + kOverflows});
    return unique;
  }

 private:
  std::set<std::string> used_;
};

// "<name>=<file>" for every input of the network.
std::map<std::string, std::string> input_files(const Graph& graph,
                                               const std::vector<std::string>& inputs) {
  std::vector<std::string> names;
  for (const GraphValue& input : used_inputs(graph)) names.push_back(input.name);
  std::map<std::string, std::string> files;
  for (const std::string& text : inputs) {
    const size_t equal = text.find('=');
    std::string name = equal == std::string::npos ? "" : text.substr(0, equal);
    if (equal == std::string::npos && names.size() == 1) name = names[0];
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      refuse("--input",
             fmt::format("'{}' names no input of the network; it has {}", text, list_names(names)),
             "write --input <name>=<file>");
    }
    if (!files.emplace(name, text.substr(equal == std::string::npos ? 0 : equal + 1)).second)
      refuse("--input", "'" + name + "' is given twice", "give every input once");
  }
  for (const std::string& name : names) {
    if (!files.contains(name))
      refuse("--input", "'" + name + "' is missing", "add --input " + name + "=<file>");
  }
  return files;
}

class NetworkRun {
 public:
  NetworkRun(const RunRequest& request, Progress& progress)
      : request_(request), progress_(progress) {}

  std::string run() {
    const auto file = model_path(request_.network);
    const Graph graph = load_graph(file);
    std::optional<Accelerator> accelerator;
    if (!request_.accelerator.empty()) accelerator = accelerator_of(request_.accelerator);
    const bool file_rounds =
        !accelerator || accelerator->datapath.requantize.kind == RequantizeConfig::Kind::kFloat32;
    const Graph fused = fuse(graph, file_rounds ? FuseFor::kFile : FuseFor::kDatapath);
    if (accelerator && !is_quantized(fused)) refuse_accelerator(file);
    const auto files = input_files(fused, request_.inputs);
    GraphRunner::Tensors tensors;
    for (const GraphValue& input : used_inputs(fused))
      tensors[input.name] = load_tensor(files.at(input.name), input.type);
    GraphRunOptions options;
    options.datapath = accelerator ? &accelerator->datapath : nullptr;
    options.count = accelerator.has_value();
    const GraphRunner runner(fused, options);

    std::vector<std::string> inputs = {file.string()};
    for (const auto& [name, path] : files) {
      const size_t member = path.find(".npz:");
      inputs.push_back(member == std::string::npos ? path : path.substr(0, member + 4));
    }
    if (accelerator) inputs.push_back(accelerator->file);
    result_ = run_info(request_.command, inputs);
    result_["network"] = graph.name;
    result_["accelerator"] = accelerator ? Json(accelerator->name) : Json(nullptr);
    result_["outputs"] = Json::array();
    result_["layers"] = Json::array();
    StagedFolder folder(request_.out, kResultFile);
    folder_ = folder.path();
    if (request_.accumulators) prepare_folder(folder_ / "accumulators");
    if (request_.codes) prepare_folder(folder_ / "codes");
    progress_.begin(graph.name, std::ssize(fused.nodes), "nodes");
    const auto outputs = runner.run(tensors, observers(fused));
    progress_.end();
    for (const GraphValue& output : fused.outputs) {
      const Tensor& tensor = outputs.at(output.name);
      const std::string name = names_.of(output.name) + ".npy";
      write_tensor(folder_ / name, tensor);
      result_["outputs"].push_back({{"name", output.name},
                                    {"type", element_type_name(tensor.type())},
                                    {"shape", tensor.shape()},
                                    {"file", name}});
    }
    write_file(folder_ / kResultFile, json_text(result_));
    folder.commit();
    return request_.json ? json_text(result_) : text();
  }

 private:
  GraphRunner::Observers observers(const Graph& graph) {
    GraphRunner::Observers observers;
    observers.mac = [this](const MacObservation& seen) { add_layer(seen); };
    for (const GraphNode& node : graph.nodes) last_outputs_.insert(node.outputs.back());
    observers.value = [this](const std::string& value, const Tensor& tensor) {
      if (last_outputs_.contains(value)) progress_.advance(1);
      if (request_.codes && !is_real(tensor.type()))
        write_tensor(folder_ / "codes" / (code_names_.of(value) + ".npy"), tensor);
    };
    return observers;
  }

  void add_layer(const MacObservation& seen) {
    Json layer = {{"name", seen.node.name}, {"operator", seen.node.op_type}};
    if (!seen.sums.empty()) {
      const auto [least, most] = std::minmax_element(seen.sums.begin(), seen.sums.end());
      layer["least_sum"] = *least;
      layer["greatest_sum"] = *most;
      layer["final_sum_bits"] = std::max(signed_bits(*least), signed_bits(*most));
    }
    if (!request_.accelerator.empty()) {
      layer["outputs"] = seen.counts.outputs;
      layer["additions_overflowed"] = seen.counts.additions_overflowed;
      layer["outputs_hit"] = seen.counts.outputs_hit;
      layer["outputs_wrong"] = seen.counts.outputs_wrong;
    }
    if (request_.accumulators) {
      const std::string name = layer_names_.of(seen.node.name);
      layer["file"] = "accumulators/" + name + ".npy";
      write_sums(name + ".npy", seen.shape, seen.sums);
      if (!seen.overflow_counts.empty())
        write_sums(name + kOverflows + ".npy", seen.shape, seen.overflow_counts);
    }
    result_["layers"].push_back(std::move(layer));
  }

  void write_sums(const std::string& name, const Shape& shape, std::span<const int64_t> sums) {
    const Tensor tensor(ElementType::kInt64, shape, std::vector<int64_t>(sums.begin(), sums.end()));
    write_tensor(folder_ / "accumulators" / name, tensor);
  }

  std::string text() const {
    TextTable outputs({"output", "type", "shape", "file"});
    for (const Json& output : result_["outputs"]) {
      outputs.add({output["name"], output["type"], shape_text(output["shape"].get<Shape>()),
                   (request_.out / output["file"].get<std::string>()).string()});
    }
    std::string text = outputs.text();
    if (result_["layers"].empty()) return text;
    const bool counted = !request_.accelerator.empty();
    std::vector<std::string> header = {"layer", "operator", "least sum", "greatest sum", "bits"};
    if (counted) header.insert(header.end(), {"outputs", "overflowed additions", "hit", "wrong"});
    TextTable layers(header);
    for (const Json& layer : result_["layers"]) {
      std::vector<std::string> row = {layer["name"], layer["operator"]};
      for (const char* key : {"least_sum", "greatest_sum", "final_sum_bits", "outputs",
                              "additions_overflowed", "outputs_hit", "outputs_wrong"}) {
        if (layer.contains(key)) row.push_back(std::to_string(layer[key].get<int64_t>()));
      }
      row.resize(header.size());
      layers.add(row);
    }
    return text + "\nSums before requantization, bias included\n" + layers.text();
  }

  const RunRequest& request_;
  Progress& progress_;
  std::set<std::string> last_outputs_;  // of every node
  Json result_;
  std::filesystem::path folder_;
  FileNames names_, code_names_, layer_names_;
};

}  // namespace

std::string run_network(const RunRequest& request, Progress& progress) {
  return NetworkRun(request, progress).run();
}

}  // namespace widthwise
