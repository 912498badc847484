// ResNet20 on CIFAR-10, quantized with Distiller's options: predictions image by image and the
// integers of every layer, from kits/cifar10/resnet20_ptq.
#include <unistd.h>
#include <zlib.h>

#include <numeric>

#include "models/dataset.h"
#include "models/fold.h"
#include "models/lowering.h"
#include "models/model.h"
#include "quant/match_statistics.h"
#include "quant/module_names.h"
#include "quant/ptq_resolve.h"
#include "quant/statistics_yaml.h"
#include "sim/evaluate.h"
#include "tests/conformance/distiller_support.h"

namespace widthwise {
namespace {

using namespace testing_support;

fs::path kit_folder() { return shared_folder("WIDTHWISE_KITS", "kits") / "cifar10"; }

// Images [n, 32, 32, 3] of bytes as the network's input: divided, shifted, divided in float32.
std::vector<float> normalised(const uint8_t* pixels, int64_t images) {
  std::vector<float> x(static_cast<size_t>(images) * 3072);
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t pixel = 0; pixel < 1024; ++pixel) {
      for (int64_t c = 0; c < 3; ++c) {
        const float value = static_cast<float>(pixels[(n * 1024 + pixel) * 3 + c]) / 255.0F;
        x[static_cast<size_t>((n * 3 + c) * 1024 + pixel)] = (value - 0.5F) / 0.5F;
      }
    }
  }
  return x;
}

// The file's batch normalizations were folded by the exporter, in another order of float32
// operations than Distiller's: of some output channels the weights differ in their last bits. The
// recorded scales tell which ones: their weights are moved by the least factor, and their extremes
// by the fewest last bits more, that give the recorded scales.
class RecordedFold {
 public:
  explicit RecordedFold(const Json& trace) {
    for (const Json& c : trace.at("cases")) {
      if (c.at("id") == "asym_u_pc") per_channel_ = &c.at("layers");
      if (c.at("id") == "asym_s_4_4_laplace_pc") four_bits_ = &c.at("layers");
      if (c.at("id") == "sym") symmetric_ = &c.at("layers");
    }
  }

  void apply(FloatNetwork& network, const std::vector<std::string>& modules) const {
    for (size_t i = 0; i < modules.size(); ++i) {
      std::vector<float>& weights = network.layers[i].weights;
      if (!per_channel_->contains(modules[i]) || !per_channel_->at(modules[i]).contains("w_scale"))
        continue;
      const Json& scales = per_channel_->at(modules[i]).at("w_scale");
      const float whole = single(symmetric_->at(modules[i]).at("w_scale")[0]);
      float greatest = 0;
      for (const float w : weights) greatest = std::max(greatest, std::abs(w));
      const size_t each = weights.size() / scales.size();
      for (size_t oc = 0; oc < scales.size(); ++oc)
        move(std::span(weights).subspan(oc * each, each), single(scales[oc]),
             single(four_bits_->at(modules[i]).at("w_scale")[oc]), whole, greatest);
    }
  }

 private:
  static float scale_of(std::span<const float> w, QuantizationMode mode, int bits = 8) {
    const auto [low, high] = std::minmax_element(w.begin(), w.end());
    return scale_of_range({*low, *high}, bits, mode, Compat::kDistiller04).scale;
  }
  static float moved(float x, int last_bits) {
    for (; last_bits > 0; --last_bits) x = std::nextafter(x, INFINITY);
    for (; last_bits < 0; ++last_bits) x = std::nextafter(x, -INFINITY);
    return x;
  }

  static void move(std::span<float> weights, float scale, float four_bits, float whole,
                   float greatest) {
    const std::vector<float> given(weights.begin(), weights.end());
    const auto [low, high] = std::minmax_element(given.begin(), given.end());
    const bool holds_greatest = std::max(-*low, *high) == greatest;
    const auto low_at = static_cast<size_t>(low - given.begin()),
               high_at = static_cast<size_t>(high - given.begin());
    for (int nudge = 0; nudge < 25; ++nudge) {  // 0, 0 first
      const int steps[] = {0, 1, -1, 2, -2};
      for (int factor = 0; factor <= 8; ++factor) {
        const int k = (factor + 1) / 2 * (factor % 2 == 0 ? 1 : -1);
        for (size_t i = 0; i < given.size(); ++i)
          weights[i] = static_cast<float>(static_cast<double>(given[i]) * (1 + std::ldexp(k, -24)));
        weights[low_at] = moved(weights[low_at], steps[nudge / 5]);
        weights[high_at] = moved(weights[high_at], steps[nudge % 5]);
        if (scale_of(weights, QuantizationMode::kAsymmetricUnsigned) != scale) continue;
        if (scale_of(weights, QuantizationMode::kAsymmetricSigned, 4) != four_bits) continue;
        if (!holds_greatest || scale_of(weights, QuantizationMode::kSymmetric) == whole) return;
      }
    }
    std::copy(given.begin(), given.end(), weights.begin());
  }

  const Json* per_channel_ = nullptr;
  const Json* four_bits_ = nullptr;
  const Json* symmetric_ = nullptr;
};

DistillerNetwork resnet(const Json& c, const Json& trace) {
  const Model model = load_network(kit_folder() / "resnet20_cifar10.onnx");
  FloatNetwork network = lower(model.graph, Clamps::kLayers);
  const auto names = module_names(model.graph);
  std::vector<std::string> modules;
  for (const FloatLayer& layer : network.layers) modules.push_back(names.at(layer.name));
  const auto matched =
      match_statistics(network, modules,
                       read_statistics(kit_folder() / "resnet20_ptq" / "stats.yaml"), "stats.yaml");
  RecordedFold(trace).apply(network, matched.modules);
  std::vector<Module> typed;
  for (size_t i = 0; i < modules.size(); ++i)
    typed.push_back({matched.modules[i], module_type(network.layers[i])});
  const PtqOptions options = options_of(c);
  const auto settings = resolve(options, typed, Compat::kDistiller04, "c.yaml").settings();
  return quantize_as_distiller(std::move(network), matched.modules, settings,
                               options.dynamic ? nullptr : &matched.statistics,
                               Compat::kDistiller04);
}

// crc32 of the numbers as little-endian int32, and their sum.
std::string same_signature(const char* what, const std::vector<int32_t>& found,
                           const Json& golden) {
  const auto sum = std::accumulate(found.begin(), found.end(), int64_t{0});
  const auto crc =
      crc32(0, reinterpret_cast<const Bytef*>(found.data()), static_cast<uInt>(found.size() * 4));
  if (golden.at("n") == found.size() && golden.at("sum") == sum && golden.at("crc32_i32le") == crc)
    return "";
  return fmt::format("{}: {} values of sum {} and crc {}, golden {} {} {}", what, found.size(), sum,
                     crc, golden.at("n").dump(), golden.at("sum").dump(),
                     golden.at("crc32_i32le").dump());
}

std::string same_layer(const DistillerObservation& o, const Json& g) {
  for (size_t k = 0; k < g.at("inputs").size(); ++k) {
    const Json& in = g.at("inputs")[k];
    if (!in.contains("q")) continue;
    if (auto d =
            same_floats("input", {o.inputs.at(k)->quantization.scales[0].scale}, in.at("scale"));
        !d.empty())
      return d;
    if (auto d = same_signature("input", o.inputs[k]->codes, in.at("q")); !d.empty()) return d;
  }
  if (g.contains("w_q")) {
    if (auto d = same_signature("w_q", o.description.weights.codes, g.at("w_q")); !d.empty())
      return d;
    if (auto d = same_signature("b_q", {o.bias.begin(), o.bias.end()}, g.at("b_q")); !d.empty())
      return d;
    if (auto d = same_floats("accum_scale", o.accumulator_scales, g.at("accum_scale")); !d.empty())
      return d;
  }
  if (g.contains("acc")) {
    if (auto d = same_signature("acc", {o.accumulators.begin(), o.accumulators.end()}, g.at("acc"));
        !d.empty())
      return d;
  }
  if (auto d = same_floats("requant_scale", o.requantize_ratios, g.at("requant_scale")); !d.empty())
    return d;
  if (auto d = same_floats("out_scale", {o.ofmap.quantization.scales[0].scale}, g.at("out_scale"));
      !d.empty())
    return d;
  return same_signature("y_q", o.ofmap.codes, g.at("y_q"));
}

std::unique_ptr<DataSet> test_images() {
  const fs::path yaml =
      fs::temp_directory_path() / fmt::format("widthwise-cifar-{}.yaml", ::getpid());
  std::ofstream(yaml)
      << "input: {layout: NHWC, divide_by: 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}\n";
  const Preprocessing preprocessing = load_preprocessing(yaml);
  fs::remove(yaml);
  NetworkEnds ends;
  ends.name = "resnet20";
  ends.input = {3, 32, 32};
  ends.outputs = 10;
  return open_data_set({.path = (kit_folder() / "test_images.npy").string(),
                        .labels = (kit_folder() / "test_labels.npy").string()},
                       preprocessing, ends);
}

TEST(DistillerGolden, ResNet20Trace) {
  const fs::path folder = kit_folder() / "resnet20_ptq";
  WIDTHWISE_GOLDEN(golden, folder / "trace.json");
  const Json& trace = golden;
  const Json images = golden_json(folder / "images2.json");
  const auto pixels = images.at("data").get<std::vector<uint8_t>>();
  const auto x = normalised(pixels.data(), 2);
  GoldenTally tally("resnet20 trace");
  for (const Json& c : golden.at("cases")) {
    const DistillerNetwork network = resnet(c, trace);
    const DistillerRunner runner(network, 2);
    auto state = runner.make_state();
    std::string found;
    size_t seen = 0;
    const auto y = runner.run(x, 2, state, [&](const DistillerObservation& o) {
      if (!found.empty() || !c.at("layers").contains(o.description.module)) return;
      ++seen;
      found = same_layer(o, c.at("layers").at(o.description.module));
      if (!found.empty()) found = o.description.module + ": " + found;
    });
    if (found.empty() && seen != c.at("layers").size()) found = fmt::format("{} layers seen", seen);
    Json logits = Json::array();
    for (const Json& image : c.at("logits"))
      for (const Json& value : image) logits.push_back(value);
    if (found.empty()) found = same_floats("logits", {y.begin(), y.end()}, logits);
    tally.add(c.at("id"), found);
  }
}

TEST(DistillerGolden, ResNet20Predictions) {
  const fs::path folder = kit_folder() / "resnet20_ptq";
  WIDTHWISE_GOLDEN(golden, folder / "accuracy.json");
  WIDTHWISE_GOLDEN(trace, folder / "trace.json");
  const auto data = test_images();
  constexpr int64_t kBatch = 256;  // Distiller's default, which dynamic ranges depend on
  GoldenTally tally("resnet20 predictions");
  for (const Json& c : golden.at("cases")) {
    const DistillerNetwork network = resnet(c, trace);
    const DistillerRunner runner(network, kBatch);
    std::vector<ClippingCounts> counts;
    const Evaluation evaluation = evaluate_distiller(runner, *data, counts, Progress::none());
    std::string found;
    for (const int32_t prediction : evaluation.predictions)
      found += static_cast<char>('0' + prediction);
    const auto recorded = c.at("argmax").get<std::string>();
    int different = 0;
    for (size_t i = 0; i < recorded.size(); ++i) different += found[i] != recorded[i];
    tally.add(c.at("id"), different == 0 ? "" : fmt::format("{} predictions differ", different));
  }
}

}  // namespace
}  // namespace widthwise
