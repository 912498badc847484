// Statistics as Distiller's collector records them: conformance/distiller/collector.json, and
// those of ResNet20 over 500 images (kits/cifar10/resnet20_ptq/stats.yaml).
#include <chrono>

#include "core/files.h"
#include "models/lowering.h"
#include "models/model.h"
#include "models/npy.h"
#include "quant/collector.h"
#include "quant/match_statistics.h"
#include "quant/module_names.h"
#include "quant/statistics_yaml.h"
#include "tests/conformance/distiller_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

bool near(double found, double golden, double tolerance) {
  return std::abs(found - golden) <= tolerance * std::max(std::abs(golden), 1e-3);
}

// What differs; min, max and mean of a tensor relative to its range.
std::string different(const TensorStatistics& found, const TensorStatistics& golden,
                      double tolerance, bool exact_range) {
  const double range = golden.max - golden.min;
  const auto text = [](const char* what, double a, double b) {
    return fmt::format("{} is {}, golden {}", what, a, b);
  };
  const auto differs = [&](double a, double b) {
    return exact_range ? a != b : std::abs(a - b) > tolerance * range;
  };
  if (differs(found.min, golden.min)) return text("min", found.min, golden.min);
  if (differs(found.max, golden.max)) return text("max", found.max, golden.max);
  if (std::abs(*found.mean - *golden.mean) > tolerance * *golden.std)
    return text("mean", *found.mean, *golden.mean);
  const auto optional = [&](const char* what, const auto& a, const auto& b) -> std::string {
    if (a.has_value() != b.has_value()) return fmt::format("{} is there once", what);
    return !a || near(*a, *b, tolerance) ? "" : text(what, *a, *b);
  };
  for (const auto& d : {optional("avg_min", found.avg_min, golden.avg_min),
                        optional("avg_max", found.avg_max, golden.avg_max),
                        optional("std", found.std, golden.std), optional("b", found.b, golden.b)}) {
    if (!d.empty()) return d;
  }
  if (found.total_numel != golden.total_numel) return "total_numel";
  if (found.shape != golden.shape) return fmt::format("shape is {}", fmt::join(found.shape, ", "));
  return "";
}

TEST(DistillerGolden, Collector) {
  WIDTHWISE_GOLDEN(golden, distiller_folder() / "collector.json");
  GoldenTally tally("collector");
  for (const Json& c : golden.at("cases")) {
    for (const bool relu : {false, true}) {
      RecordCollector collector(Compat::kDistiller04);
      std::vector<std::vector<float>> batches;
      std::vector<int64_t> shape;
      for (const Json& id : c.at("batches")) {
        const Json& array = golden.at("arrays").at(id.get<std::string>());
        shape = array.at("shape").get<std::vector<int64_t>>();
        batches.push_back(singles(array.at("data")));
        if (relu)
          for (float& x : batches.back()) x = std::max(x, 0.0F);
        collector.add_batch(TensorSums(batches.back(), shape[0]));
      }
      for (const auto& batch : batches) collector.add_deviations(collector.deviations(batch));
      const Json& record = c.at(relu ? "output" : "input");
      const auto wanted = parse_statistics(
          fmt::format("m: {{output: {{shape: '{}', total_numel: {}, min: 0, max: 0}}}}",
                      record.at("shape").get<std::string>(), record.at("total_numel").dump()),
          "collector.json");
      TensorStatistics expected = statistics_of(record);
      expected.shape = wanted.at("m").output->shape;
      expected.total_numel = wanted.at("m").output->total_numel;
      tally.add(
          c.at("id").get<std::string>() + (relu ? " output" : " input"),
          different(collector.record({shape.begin() + 1, shape.end()}), expected, 1e-5, true));
    }
  }
}

TEST(DistillerGolden, StatisticsFilesAreWrittenAsTheyWere) {
  const fs::path resnet = shared_folder("WIDTHWISE_KITS", "kits") / "cifar10" / "resnet20_ptq";
  int files = 0;
  for (const fs::path& path : {distiller_folder() / "network_stats.yaml", resnet / "stats.yaml",
                               resnet / "stats_after_fusion.yaml"}) {
    if (!fs::exists(path)) continue;
    ++files;
    const NetworkStatistics read = read_statistics(path);
    EXPECT_GT(read.size(), 5U);
    EXPECT_EQ(statistics_yaml(read), read_file(path, "")) << path;
  }
  if (files == 0) GTEST_SKIP() << "statistics files are absent";
}

TEST(DistillerGolden, ResNet20Statistics) {
  const fs::path folder = shared_folder("WIDTHWISE_KITS", "kits") / "cifar10";
  if (!fs::exists(folder / "resnet20_ptq" / "stats.yaml")) GTEST_SKIP() << folder << " is absent";
  const Model model = load_network(folder / "resnet20_cifar10.onnx");
  const FloatNetwork network = lower(model.graph, Clamps::kLayers);
  const auto names = module_names(model.graph);
  std::vector<std::string> modules;
  for (const FloatLayer& layer : network.layers) modules.push_back(names.at(layer.name));
  const auto matched = match_statistics(
      network, modules, read_statistics(folder / "resnet20_ptq" / "stats.yaml"), "stats.yaml");
  const NpyArray images = read_npy(folder / "calib_images.npy");
  const auto pixels = images.values<uint8_t>();
  const ImageSource source = [&](int64_t first, int64_t count, std::span<float> to) {
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t i = 0; i < 3072; ++i) {
        const float value =
            static_cast<float>(pixels[static_cast<size_t>((first + n) * 3072 + i)]) / 255.0F;
        to[static_cast<size_t>(n * 3072 + i % 3 * 1024 + i / 3)] = (value - 0.5F) / 0.5F;
      }
    }
  };
  const auto start = std::chrono::steady_clock::now();
  const auto found =
      collect_statistics(network, matched.modules, source, 500,
                         {.batch = 100, .compat = Compat::kDistiller04}, Progress::none());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print("statistics of ResNet20 over 500 images: {:.2f} s\n", took.count());
  GoldenTally tally("resnet20 statistics");
  for (const auto& [name, golden] : matched.statistics) {
    ASSERT_TRUE(found.contains(name)) << name;
    const LayerStatistics& layer = found.at(name);
    EXPECT_EQ(layer.inputs.size(), golden.inputs.size()) << name;
    for (const auto& [k, input] : golden.inputs)
      tally.add(fmt::format("{} input {}", name, k),
                different(layer.inputs.at(k), input, 1e-4, false));
    tally.add(name + " output", different(*layer.output, *golden.output, 1e-4, false));
  }
  EXPECT_EQ(found.size(), matched.statistics.size());
}

}  // namespace
}  // namespace widthwise
