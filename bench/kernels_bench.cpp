// Speed of the simulator's paths on single layers, one thread, beside oneDNN's int8 convolution of
// the same layer and data in the same process. Counter GMAC/s: nominal MACs, padded taps counted.
// bench/run makes a table of it. Names: <layer>/<data>/<path>.
#include <fmt/format.h>

#include <cstdlib>

#include "bench/onednn_convolution.h"
#include "bench/run_benchmarks.h"
#include "bench/single_layer.h"
#include "sim/layer_runner.h"

namespace widthwise {
namespace {

void set_rate(benchmark::State& state, const MatmulWorkload& workload) {
  state.counters["GMAC/s"] = benchmark::Counter(static_cast<double>(workload.additions()) * 1e-9,
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void run_onednn(benchmark::State& state, const SingleLayer& layer, OneDnnConvolution::Ofmap ofmap) {
  OneDnnConvolution convolution(layer.workload(), 1, layer.layer().weights, ofmap);
  convolution.set_ifmap(layer.codes);
  for (auto _ : state) convolution.run();
  set_rate(state, layer.workload());
}

std::shared_ptr<const ByteLayer> exact_bytes(const SingleLayer& layer) {
  return pack_bytes(layer.layer(), layer.ifmap_quantization(), {}, KernelMode::kExact,
                    default_kernels());
}

void run_sums(benchmark::State& state, const SingleLayer& layer) {
  const auto packed = exact_bytes(layer);
  if (!packed) return state.SkipWithError("no kernels for bytes on this machine");
  const CodeTensor ifmap = layer.ifmap();
  const auto bytes = ifmap.as_bytes()->values;
  SumsByPixel sums(layer.workload().window);
  Workspace workspace;
  for (auto _ : state) packed->run(bytes, 1, workspace, sums);
  set_rate(state, layer.workload());
}

void run_path(benchmark::State& state, const SingleLayer& layer, const Accumulation& stages,
              bool census) {
  Datapath path;
  path.accumulation = stages;
  const auto runner =
      make_layer_runner(layer.network, layer.layer(), path, {.outermost = {}, .census = census});
  LayerRecord record = runner->empty_record();
  Workspace workspace;
  const CodeTensor ifmap = layer.ifmap();
  CodeTensor ofmap;
  for (auto _ : state) runner->run({&ifmap}, ofmap, 1, workspace, record);
  set_rate(state, layer.workload());
}

// The peer computes the same sums, or its speed says nothing.
void check_peer(const SingleLayer& layer) {
  const Window& w = layer.workload().window;
  const auto packed = exact_bytes(layer);
  if (!packed) return;
  OneDnnConvolution convolution(layer.workload(), 1, layer.layer().weights,
                                OneDnnConvolution::Ofmap::kSums);
  convolution.set_ifmap(layer.codes);
  convolution.run();
  const CodeTensor ifmap = layer.ifmap();
  SumsByPixel sums(w);
  Workspace workspace;
  packed->run(ifmap.as_bytes()->values, 1, workspace, sums);
  const std::vector<int32_t> planes = convolution.sums();
  for (int64_t p = 0; p < w.ofmap_pixels(); ++p) {
    for (int64_t oc = 0; oc < w.ofmap_channels; ++oc) {
      if (planes[static_cast<size_t>(oc * w.ofmap_pixels() + p)] ==
          sums.values[static_cast<size_t>(p * w.ofmap_channels + oc)])
        continue;
      fmt::print(stderr, "oneDNN and the simulator disagree on the exact sums of {}\n",
                 layer.layer().name);
      std::exit(2);
    }
  }
}

void register_all() {
  struct Path {
    const char* name;
    int64_t lanes;
    int bits;
    OverflowPolicy policy;
    bool census;
  };
  constexpr auto kWrap = OverflowPolicy::kWrap, kSaturate = OverflowPolicy::kSaturate;
  constexpr Path kPaths[] = {
      {"wrap_codes", 1, 16, kWrap, false},
      {"census_chain", 1, 32, kWrap, true},
      {"census_tree16", 16, 32, kWrap, true},
      {"census_tree8", 8, 32, kWrap, true},
      {"census_tree4", 4, 32, kWrap, true},
      {"saturate20_chain", 1, 20, kSaturate, false},
      {"saturate16_chain", 1, 16, kSaturate, false},
      {"saturate12_chain", 1, 12, kSaturate, false},
      {"saturate20_tree16", 16, 20, kSaturate, false},
      {"saturate20_tree8", 8, 20, kSaturate, false},
      {"saturate20_tree4", 4, 20, kSaturate, false},
      {"saturate16_tree16", 16, 16, kSaturate, false},
      {"saturate16_tree8", 8, 16, kSaturate, false},
      {"saturate16_tree4", 4, 16, kSaturate, false},
  };
  for (const LayerCase& layer_case : kLayers) {
    for (const auto& [data_name, data] : kData) {
      const auto layer = std::make_shared<const SingleLayer>(layer_case, data);
      check_peer(*layer);
      const auto add = [&](const char* path, auto&& run) {
        const std::string name = fmt::format("{}/{}/{}", layer_case.name, data_name, path);
        benchmark::RegisterBenchmark(name.c_str(), run);
      };
      using Ofmap = OneDnnConvolution::Ofmap;
      add("onednn_sums", [layer](benchmark::State& s) { run_onednn(s, *layer, Ofmap::kSums); });
      add("onednn_codes", [layer](benchmark::State& s) { run_onednn(s, *layer, Ofmap::kCodes); });
      add("exact_sums", [layer](benchmark::State& s) { run_sums(s, *layer); });
      for (const Path& path : kPaths) {
        add(path.name, [layer, path](benchmark::State& s) {
          run_path(s, *layer, accumulation(path.lanes, path.bits, path.policy), path.census);
        });
      }
    }
  }
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  return widthwise::run_benchmarks(argc, argv, widthwise::register_all);
}
