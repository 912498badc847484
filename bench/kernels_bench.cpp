// Speed of the simulator's paths on single layers, one thread, beside oneDNN's int8 convolution of
// the same layer and data in the same process. Counter GMAC/s: nominal MACs, padded taps counted.
// bench/run makes a table of it. Names: <layer>/<data>/<path>.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>

#include "bench/onednn_convolution.h"
#include "bench/single_layer.h"
#include "sim/layer_runner.h"

namespace widthwise {
namespace {

void set_rate(benchmark::State& state, const MatmulWorkload& workload) {
  state.counters["GMAC/s"] = benchmark::Counter(static_cast<double>(workload.additions()) * 1e-9,
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void run_onednn(benchmark::State& state, const LayerCase& c, Data data,
                OneDnnConvolution::Ofmap ofmap) {
  const SingleLayer layer(c, data);
  OneDnnConvolution convolution(layer.workload(), 1, layer.layer().weights, ofmap);
  convolution.set_ifmap(layer.codes);
  for (auto _ : state) convolution.run();
  set_rate(state, layer.workload());
}

std::shared_ptr<const ByteLayer> exact_bytes(const SingleLayer& layer) {
  return pack_bytes(layer.layer(), layer.ifmap_quantization(), {}, KernelMode::kExact,
                    default_kernels());
}

void run_sums(benchmark::State& state, const LayerCase& c, Data data) {
  const SingleLayer layer(c, data);
  const auto packed = exact_bytes(layer);
  if (!packed) return state.SkipWithError("no kernels for bytes on this machine");
  const CodeTensor ifmap = layer.ifmap();
  const auto bytes = ifmap.as_bytes()->values;
  SumsByPixel sums(layer.workload().window);
  Workspace workspace;
  for (auto _ : state) packed->run(bytes, 1, workspace, sums);
  set_rate(state, layer.workload());
}

void run_path(benchmark::State& state, const LayerCase& c, Data data, const Accumulation& stages,
              bool census) {
  const SingleLayer layer(c, data);
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
  for (const LayerCase& layer : kLayers) {
    for (const auto& [data_name, data] : kData) {
      const auto add = [&](const char* path, auto&& run) {
        benchmark::RegisterBenchmark(fmt::format("{}/{}/{}", layer.name, data_name, path).c_str(),
                                     run);
      };
      using Ofmap = OneDnnConvolution::Ofmap;
      add("onednn_sums",
          [&layer, d = data](benchmark::State& s) { run_onednn(s, layer, d, Ofmap::kSums); });
      add("onednn_codes",
          [&layer, d = data](benchmark::State& s) { run_onednn(s, layer, d, Ofmap::kCodes); });
      add("exact_sums", [&layer, d = data](benchmark::State& s) { run_sums(s, layer, d); });
      for (const Path& path : kPaths) {
        add(path.name, [&layer, d = data, path](benchmark::State& s) {
          run_path(s, layer, d, accumulation(path.lanes, path.bits, path.policy), path.census);
        });
      }
    }
  }
}

// The peer computes the same sums, or its speed says nothing.
void check_peer() {
  for (const LayerCase& c : kLayers) {
    const SingleLayer layer(c, Data::kDense);
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
        fmt::print(stderr, "oneDNN and the simulator disagree on the exact sums of {}\n", c.name);
        std::exit(2);
      }
    }
  }
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  widthwise::check_peer();
  widthwise::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
