#pragma once
// Folders <name>/{model.onnx, test_data_set_*/{input_K,output_K}.pb, meta.json}, as the ONNX
// backend tests and tests/golden have them, run in integer form and compared.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <vector>

#include "core/error.h"
#include "models/fuse.h"
#include "models/onnx_import.h"
#include "models/onnx_tensor.h"
#include "sim/graph_runner.h"

namespace widthwise::testing_support {

namespace fs = std::filesystem;

inline fs::path folder_named(const char* variable, const fs::path& otherwise) {
  const char* named = std::getenv(variable);
  return named != nullptr && *named != '\0' ? fs::path(named) : otherwise;
}
inline fs::path shared_folder(const char* variable, const char* name) {
  return folder_named(variable, fs::path(WIDTHWISE_TREE) / ".." / "shared" / name);
}
inline fs::path conformance_folder() {
  return shared_folder("WIDTHWISE_CONFORMANCE", "conformance");
}

inline std::vector<fs::path> sorted(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

struct ModelCase {
  std::string name;  // "qconv_1d_u8s8", "TFC_2W2A/model_clean.onnx"
  fs::path model, meta;
  std::vector<fs::path> data_sets;
};
inline std::vector<ModelCase> model_cases(const fs::path& suite) {
  std::vector<ModelCase> all;
  for (const fs::path& folder : sorted(suite)) {
    const bool two = fs::exists(folder / "model_clean.onnx");
    for (const char* file : {"model.onnx", "model_clean.onnx"}) {
      if (!fs::exists(folder / file)) continue;
      ModelCase& c = all.emplace_back();
      c.name = folder.filename().string() + (two ? std::string("/") + file : "");
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
inline std::vector<Tensor> numbered(const fs::path& folder, const std::string& what) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; fs::exists(folder / fmt::format("{}_{}.pb", what, i)); ++i)
    tensors.push_back(load_tensor_proto(folder / fmt::format("{}_{}.pb", what, i)));
  return tensors;
}

// The inputs by name; a file with more inputs than tensors has them as constants.
inline GraphRunner::Tensors named_inputs(const Graph& graph, const std::vector<Tensor>& tensors) {
  GraphRunner::Tensors inputs;
  for (size_t i = 0; i < std::min(tensors.size(), graph.inputs.size()); ++i)
    inputs[graph.inputs[i].name] = tensors[i];
  return inputs;
}

struct Difference {
  int64_t elements = 0, different = 0;
  double largest = 0;
  double relative = 0;  // largest over the greatest magnitude that is wanted
};
inline Difference difference(const Tensor& found, const Tensor& wanted) {
  EXPECT_EQ(found.shape(), wanted.shape());
  EXPECT_EQ(element_type_name(found.type()), std::string(element_type_name(wanted.type())));
  Difference d;
  d.elements = wanted.elements();
  if (found.shape() != wanted.shape() || found.type() != wanted.type()) {
    d.different = d.elements;
    d.largest = d.relative = std::numeric_limits<double>::infinity();
    return d;
  }
  double magnitude = 0;
  for (int64_t i = 0; i < d.elements; ++i) {
    const double distance = std::abs(found.real(i) - wanted.real(i));
    magnitude = std::max(magnitude, std::abs(wanted.real(i)));
    d.different += distance != 0;
    d.largest = std::max(d.largest, distance);
  }
  d.relative = magnitude > 0 ? d.largest / magnitude : d.largest;
  return d;
}

// P-bit accumulators of every multiply-accumulate node, as meta.json lists them in order.
struct AccumulatorCounts {
  int64_t found = 0, exact = 0;
};
inline void compare_accumulators(const ModelCase& c, const fs::path& data_set, const Graph& graph,
                                 const GraphRunner::Tensors& inputs, AccumulatorCounts& total) {
  const YAML::Node macs = YAML::LoadFile(c.meta.string())["macs"];
  std::map<std::pair<int, std::string>, std::vector<size_t>> runs;  // width and policy -> macs
  for (size_t n = 0; n < macs.size(); ++n) {
    for (const YAML::Node& sim : macs[n]["sims"])
      runs[{sim["P"].as<int>(), sim["mode"].as<std::string>()}].push_back(n);
  }
  for (const auto& [run, listed] : runs) {
    const auto& [bits, mode] = run;
    Datapath datapath;
    datapath.ifmap = datapath.weight = {17, true};
    datapath.accumulation.stages = {
        Stage{.bits = bits,
              .overflow = mode == "wrap" ? OverflowPolicy::kWrap : OverflowPolicy::kSaturate}};
    datapath.requantize.kind = RequantizeConfig::Kind::kFloat32;
    size_t n = 0;
    GraphRunner::Observers observers;
    observers.mac = [&](const MacObservation& seen) {
      if (seen.node.op_type.find("Pool") != std::string::npos) return;
      for (const YAML::Node& sim : macs[n]["sims"]) {
        if (sim["P"].as<int>() != bits || sim["mode"].as<std::string>() != mode) continue;
        const std::string what =
            fmt::format("{}: {} in {} bits, {}", c.name, seen.node.name, bits, mode);
        const std::vector<int64_t> wanted =
            load_tensor_proto(data_set / sim["file"].as<std::string>()).integers();
        const std::vector<int64_t> found(seen.sums.begin(), seen.sums.end());
        const bool exact = found == wanted &&
                           seen.counts.additions_overflowed == sim["overflow_adds"].as<int64_t>() &&
                           seen.counts.outputs_hit == sim["overflow_outputs"].as<int64_t>();
        EXPECT_EQ(found, wanted) << what;
        EXPECT_EQ(seen.counts.additions_overflowed, sim["overflow_adds"].as<int64_t>()) << what;
        EXPECT_EQ(seen.counts.outputs_hit, sim["overflow_outputs"].as<int64_t>()) << what;
        if (sim["differs"]) {
          EXPECT_EQ(seen.counts.outputs_wrong, sim["differs"].as<int64_t>()) << what;
        }
        ++total.found;
        total.exact += exact;
      }
      ++n;
    };
    GraphRunOptions options;
    options.datapath = &datapath;
    options.count = true;
    GraphRunner(graph, options).run(inputs, observers);
    EXPECT_EQ(n, macs.size()) << c.name << ": multiply-accumulate nodes";
  }
}

}  // namespace widthwise::testing_support
