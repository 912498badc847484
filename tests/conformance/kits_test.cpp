// Real networks over all of their data: accuracy as it was measured elsewhere, and golden integers
// where they exist. tests/conformance/kits/*.yaml say what belongs together; the files are found
// below WIDTHWISE_KITS.
#include <unistd.h>

#include <fstream>

#include "core/files.h"
#include "models/dataset.h"
#include "models/model.h"
#include "models/npy.h"
#include "quant/quantized_import.h"
#include "sim/evaluate.h"
#include "tests/conformance/model_folders.h"

namespace widthwise {
namespace {

using namespace testing_support;

struct Kit {
  std::string name;
  YAML::Node yaml;
  fs::path root;
  fs::path path(const char* key) const { return root / yaml[key].as<std::string>(); }
};

std::vector<Kit> kits() {
  const fs::path root = shared_folder("WIDTHWISE_KITS", "kits");
  std::vector<Kit> all;
  for (const fs::path& file : sorted(fs::path(WIDTHWISE_TREE) / "tests" / "conformance" / "kits")) {
    std::string text = read_file(file, "");
    for (size_t at = text.find("${KITS}"); at != std::string::npos; at = text.find("${KITS}"))
      text.replace(at, 7, root.string());
    Kit kit{file.stem().string(), YAML::Load(text), root};
    if (fs::exists(kit.path("network"))) all.push_back(kit);
  }
  return all;
}

Preprocessing preprocessing_of(const Kit& kit) {
  const fs::path file =
      fs::temp_directory_path() / fmt::format("widthwise-{}-{}.yaml", ::getpid(), kit.name);
  std::ofstream(file) << YAML::Dump(kit.yaml["preprocessing"]) << "\n";
  const Preprocessing preprocessing = load_preprocessing(file);
  fs::remove(file);
  return preprocessing;
}

Evaluation evaluate_float_network(const FloatNetwork& network, const DataSet& data) {
  const ImageSource source = [&](int64_t first, int64_t count, std::span<float> values) {
    data.read(first, count, values);
  };
  return evaluate_float(network, source, data.count(), data.labels(), Progress::none());
}

// A datapath that takes every operand and never overflows, with the requantizer of a golden.
Datapath golden_datapath(const YAML::Node& requantize) {
  Datapath datapath;
  datapath.ifmap = datapath.weight = {17, true};
  datapath.accumulation.stages = {Stage{.bits = 48}};
  const auto kind = requantize["kind"].as<std::string>();
  using Kind = RequantizeConfig::Kind;
  for (const Kind known :
       {Kind::kFloat32, Kind::kMultiplierShift, Kind::kGemmlowp, Kind::kPowerOfTwo}) {
    if (kind == requantize_kind_name(known)) datapath.requantize.kind = known;
  }
  for (const Rounding rounding : kRoundings) {
    if (requantize["rounding"] &&
        requantize["rounding"].as<std::string>() == rounding_name(rounding))
      datapath.requantize.rounding = rounding;
  }
  return datapath;
}

// Integers of the output (codes) or of the last layer (sums) over all data, [images, outputs].
std::vector<int64_t> integers(const Graph& graph, const DataSet& data, const Datapath& datapath,
                              bool sums) {
  const GraphRunner runner(graph, {.datapath = &datapath});
  std::string codes;  // of the output
  for (const GraphNode& node : graph.nodes) {
    if (node.op_type == "DequantizeLinear" && node.outputs[0] == graph.outputs[0].name)
      codes = node.inputs[0];
  }
  std::vector<int64_t> all, batch;
  GraphRunner::Observers observers;
  if (sums) {
    observers.mac = [&](const MacObservation& seen) {
      batch.assign(seen.sums.begin(), seen.sums.end());
    };
  } else {
    observers.value = [&](const std::string& value, const Tensor& tensor) {
      if (value == codes) batch = tensor.integers();
    };
  }
  constexpr int64_t kBatch = 20;
  for (int64_t first = 0; first < data.count(); first += kBatch) {
    const int64_t count = std::min(kBatch, data.count() - first);
    Shape shape = graph.inputs[0].shape;
    shape[0] = count;
    Tensor tensor(ElementType::kFloat, shape);
    data.read(first, count, tensor.write<float>());
    runner.run({{graph.inputs[0].name, tensor}}, observers);
    all.insert(all.end(), batch.begin(), batch.end());
  }
  return all;
}

TEST(Kits, AccuracyAndGoldenIntegers) {
  const std::vector<Kit> all = kits();
  if (all.empty())
    GTEST_SKIP() << "skipped: no networks below "
                 << shared_folder("WIDTHWISE_KITS", "kits").string();
  for (const Kit& kit : all) {
    SCOPED_TRACE(kit.name);
    const Graph graph = load_graph(kit.path("network"));
    const Graph fused = fuse(graph);
    const auto data =
        open_data_set({.path = kit.path("data").string(), .labels = kit.path("labels").string()},
                      preprocessing_of(kit), network_ends(fused));
    const auto layers = is_quantized(fused) ? std::nullopt : layers_if_any(graph);
    const Evaluation evaluation = layers
                                      ? evaluate_float_network(*layers, *data)
                                      : evaluate_graph(GraphRunner(fused), *data, Progress::none());
    const double stated = kit.yaml["top1_percent"].as<double>();
    const double tolerance = kit.yaml["tolerance_percent"].as<double>(0) + 0.05;  // one decimal
    EXPECT_NEAR(evaluation.top1_percent(), stated, tolerance + 1e-9);
    std::string golden_text = "no golden integers";
    if (const YAML::Node golden = kit.yaml["golden"]) {
      const NpyArray array = read_npy(kit.root / golden["file"].as<std::string>());
      const std::vector<int64_t> wanted = integer_values(array, kit.name);
      const std::vector<int64_t> found =
          integers(fuse(graph, FuseFor::kDatapath), *data, golden_datapath(golden["requantize"]),
                   golden["of"].as<std::string>() == "sums");
      int64_t equal = 0;
      ASSERT_EQ(found.size(), wanted.size());
      for (size_t i = 0; i < found.size(); ++i) equal += found[i] == wanted[i];
      EXPECT_EQ(equal, std::ssize(wanted));
      golden_text = fmt::format("{} of {} golden integers equal", equal, wanted.size());
    }
    fmt::print("  {}: {} inputs, top-1 {:.2f} (stated {}), {}\n", kit.name, evaluation.images,
               evaluation.top1_percent(), stated, golden_text);
  }
  fmt::print("kits: {} networks found\n", all.size());
}

}  // namespace
}  // namespace widthwise
