// Speed of whole networks, one thread: beside oneDNN's time for the same convolutions and fully
// connected layer, 16 images beside one, many accumulator widths beside one. Counter "seconds" of
// every iteration. Names: <network>/<path>/<variant>.
#include <fmt/format.h>

#include "bench/network_path.h"
#include "bench/onednn_convolution.h"
#include "bench/resnet18.h"
#include "bench/run_benchmarks.h"

namespace widthwise {
namespace {

const QuantizedNetwork& network() {
  static const QuantizedNetwork made = resnet18(224);
  return made;
}

void run_images(benchmark::State& state, const NetworkPath& path, int64_t images) {
  const Simulator simulator = simulator_of(network(), path);
  Simulator::State run = simulator.make_state();
  const std::vector<int32_t> codes = random_images(network(), images);
  for (auto _ : state) simulator.run(codes, images, run);
  set_seconds(state);
}

// A census, then what every channel of every layer overflows at `widths` widths.
void run_widths(benchmark::State& state, const NetworkPath& census, int64_t images, int widths) {
  constexpr int kLeastBits = 8;
  const Simulator simulator = simulator_of(network(), census);
  Simulator::State run = simulator.make_state();
  const std::vector<int32_t> codes = random_images(network(), images);
  for (auto _ : state) {
    simulator.run(codes, images, run);
    for (const LayerRecord& record : run.records) {
      for (int64_t channel = 0; channel < record.census.channels(); ++channel) {
        const auto hits = record.census.hits(OverflowPolicy::kWrap, channel);
        for (int bits = kLeastBits; bits < kLeastBits + widths; ++bits)
          benchmark::DoNotOptimize(hits[static_cast<size_t>(bits)]);
      }
    }
  }
  set_seconds(state);
}

// All layers that multiply, one after the other, on the codes that the exact path has there.
void run_onednn(benchmark::State& state) {
  const Simulator simulator = simulator_of(network(), kNetworkPaths[0]);
  Simulator::State run = simulator.make_state();
  simulator.run(random_images(network(), 1), 1, run);
  std::vector<OneDnnConvolution> convolutions;
  for (const QuantizedLayer& layer : network().layers) {
    const auto* workload = std::get_if<MatmulWorkload>(&layer.workload);
    if (workload == nullptr || workload->unit_weights) continue;
    convolutions.emplace_back(*workload, 1, layer.weights, OneDnnConvolution::Ofmap::kCodes);
    convolutions.back().set_ifmap(run.tensors[static_cast<size_t>(layer.ifmaps[0])].codes());
  }
  for (auto _ : state) {
    for (OneDnnConvolution& convolution : convolutions) convolution.run();
  }
  set_seconds(state);
}

void register_all() {
  const auto add = [](const std::string& variant, auto&& run) {
    benchmark::RegisterBenchmark(fmt::format("resnet18_at224/{}", variant).c_str(), run)
        ->Unit(benchmark::kMillisecond);
  };
  add("onednn_codes", run_onednn);
  for (const NetworkPath& path : kNetworkPaths) {
    for (const int64_t images : {1, 16}) {
      const std::string variant = fmt::format("{}/images_{}", path.name, images);
      add(variant, [&path, images](benchmark::State& s) { run_images(s, path, images); });
      if (!path.census) continue;
      for (const int widths : {1, 25}) {
        add(fmt::format("{}/widths_{}", variant, widths),
            [&path, images, widths](benchmark::State& s) { run_widths(s, path, images, widths); });
      }
    }
  }
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  return widthwise::run_benchmarks(argc, argv, widthwise::register_all);
}
