// Speed of the simulator's paths on single layers, one thread, beside oneDNN's int8 convolution of
// the same layer in the same process. Counter GMAC/s: nominal MACs, padded taps counted.
//   build/release/bench/widthwise_bench [--benchmark_filter=...]
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <random>

#include "bench/onednn_convolution.h"
#include "sim/layer_runner.h"

namespace widthwise {
namespace {

struct LayerCase {
  const char* name;
  int64_t ifmaps, ofmaps, size, kernel, groups;
};
constexpr LayerCase kLayers[] = {
    {"conv3x3_64_64_at56", 64, 64, 56, 3, 1},   {"conv3x3_256_256_at14", 256, 256, 14, 3, 1},
    {"conv3x3_512_512_at7", 512, 512, 7, 3, 1}, {"conv1x1_256_512_at14", 256, 512, 14, 1, 1},
    {"conv3x3_16_16_at28", 16, 16, 28, 3, 1},   {"depthwise3x3_256_at14", 256, 256, 14, 3, 256},
};

// A layer with Laplace weights and ReLU-like ifmaps: half of the codes are 0, the rest half-normal.
struct Layer {
  QuantizedNetwork network;
  std::vector<int32_t> codes;
  const MatmulWorkload& workload() const {
    return std::get<MatmulWorkload>(network.layers[0].workload);
  }
};

Layer make_layer(const LayerCase& c) {
  std::mt19937 random(1);
  MatmulWorkload workload;
  workload.groups = c.groups;
  Window& w = workload.window;
  w.ifmap_channels = c.ifmaps;
  w.ofmap_channels = c.ofmaps;
  w.ifmap_rows = w.ifmap_cols = w.ofmap_rows = w.ofmap_cols = c.size;
  w.kernel_rows = w.kernel_cols = c.kernel;
  w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = c.kernel / 2;
  QuantizedLayer layer;
  layer.name = c.name;
  layer.operator_type = "Conv";
  layer.workload = workload;
  layer.ifmaps = {0};
  layer.ofmap = 1;
  layer.q_max = 255;
  layer.weight_scales = {1};
  layer.bias.assign(static_cast<size_t>(c.ofmaps), 0);
  std::exponential_distribution<double> magnitude(1.0 / 18);
  for (int64_t i = 0; i < workload.weight_elements(); ++i) {
    const int code = std::min(127, static_cast<int>(magnitude(random)));
    layer.weights.push_back(random() % 2 != 0 ? code : -code);
  }
  Layer made;
  std::normal_distribution<double> value(0, 60);
  for (int64_t i = 0; i < w.ifmap_elements(); ++i) {
    made.codes.push_back(std::clamp(static_cast<int>(value(random)), 0, 255));
  }
  const TensorQuantization u8{.format = {8, false}, .scale = 1, .zero_point = 0};
  made.network.tensors = {{"ifmap", {c.ifmaps, c.size, c.size}, u8},
                          {"ofmap", {c.ofmaps, c.size, c.size}, u8}};
  made.network.tensors[1].quantization.scale = 100;
  made.network.input = 0;
  made.network.output = 1;
  made.network.layers = {layer};
  return made;
}

Datapath datapath(int64_t lanes, int bits, OverflowPolicy policy) {
  Datapath path;
  path.accumulation.stages = {Stage{.bits = bits, .overflow = policy}};
  if (lanes > 1) {
    path.accumulation.stages.insert(path.accumulation.stages.begin(),
                                    Stage{.kind = Stage::Kind::kTree, .length = lanes});
  }
  return path;
}

void set_rate(benchmark::State& state, const MatmulWorkload& workload) {
  state.counters["GMAC/s"] = benchmark::Counter(static_cast<double>(workload.additions()) * 1e-9,
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void run_onednn(benchmark::State& state, const LayerCase& c) {
  const Layer layer = make_layer(c);
  OneDnnConvolution convolution(layer.workload(), 1, layer.network.layers[0].weights);
  convolution.set_ifmap(layer.codes);
  for (auto _ : state) convolution.run();
  set_rate(state, layer.workload());
}

void run_path(benchmark::State& state, const LayerCase& c, const Datapath& path, bool census) {
  const Layer layer = make_layer(c);
  const auto runner = make_layer_runner(layer.network, layer.network.layers[0], path,
                                        {.outermost = {}, .census = census});
  LayerRecord record = runner->empty_record();
  Workspace workspace;
  CodeTensor ifmap, ofmap;
  const Window& w = layer.workload().window;
  const auto bytes = ifmap.write_bytes({1, w.ifmap_channels, w.ifmap_rows * w.ifmap_cols}, 0);
  for (int64_t channel = 0, i = 0; channel < w.ifmap_channels; ++channel) {
    for (int64_t p = 0; p < w.ifmap_rows * w.ifmap_cols; ++p, ++i) {
      bytes[static_cast<size_t>(p * w.ifmap_channels + channel)] =
          static_cast<uint8_t>(layer.codes[static_cast<size_t>(i)]);
    }
  }
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
  constexpr Path kPaths[] = {
      {"exact_wrap16", 1, 16, OverflowPolicy::kWrap, false},
      {"census_chain", 1, 32, OverflowPolicy::kWrap, true},
      {"census_tree16", 16, 32, OverflowPolicy::kWrap, true},
      {"saturate16_chain", 1, 16, OverflowPolicy::kSaturate, false},
      {"saturate16_tree16", 16, 16, OverflowPolicy::kSaturate, false},
      {"saturate20_tree16", 16, 20, OverflowPolicy::kSaturate, false},
  };
  for (const LayerCase& layer : kLayers) {
    benchmark::RegisterBenchmark(fmt::format("{}/oneDNN_s32", layer.name).c_str(),
                                 [&layer](benchmark::State& s) { run_onednn(s, layer); });
    for (const Path& path : kPaths) {
      benchmark::RegisterBenchmark(
          fmt::format("{}/{}", layer.name, path.name).c_str(), [&layer, path](benchmark::State& s) {
            run_path(s, layer, datapath(path.lanes, path.bits, path.policy), path.census);
          });
    }
  }
}

// The peer computes the same sums, or its speed says nothing.
void check_peer() {
  const Layer layer = make_layer(kLayers[4]);
  OneDnnConvolution convolution(layer.workload(), 1, layer.network.layers[0].weights);
  convolution.set_ifmap(layer.codes);
  convolution.run();
  const auto packed =
      PackedMatmul::pack(layer.network.layers[0], layer.network.tensors[0].quantization,
                         Accumulation{}, KernelMode::kExact, default_kernels());
  class Sums : public PanelSink {
   public:
    explicit Sums(const Window& w) : values(static_cast<size_t>(w.ofmap_elements())), window_(w) {}
    void panel(int64_t channel, int64_t first, int64_t count, const int32_t* sums, const int32_t*,
               const int32_t*, const int32_t*) override {
      for_each_part(window_, channel, first, count, [&](int64_t from, int64_t to, int64_t n) {
        std::copy_n(sums + from, n, values.begin() + to);
      });
    }
    std::vector<int32_t> values;

   private:
    Window window_;
  } sums(layer.workload().window);
  Workspace workspace;
  packed->run(layer.codes, 1, workspace, sums);
  if (sums.values != convolution.sums()) {
    fmt::print(stderr, "oneDNN and the simulator disagree on the exact sums\n");
    std::exit(2);
  }
}

}  // namespace
}  // namespace widthwise

int main(int argc, char** argv) {
  widthwise::check_peer();
  widthwise::register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
