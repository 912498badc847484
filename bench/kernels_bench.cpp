// Speed of the simulator's paths on single layers, one thread, beside oneDNN's int8 convolution of
// the same layer and data in the same process. Counter GMAC/s: nominal MACs, padded taps counted.
// bench/run makes a table of it. Names: <layer>/<data>/<path>.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <random>

#include "bench/onednn_convolution.h"
#include "sim/byte_layer.h"
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
    {"fc_512_1000", 512, 1000, 1, 1, 1},        {"depthwise3x3_256_at14", 256, 256, 14, 3, 256},
};

// kRelu: Laplace weights; half of the ifmap's codes are 0, the rest half-normal. kDense: all codes
// are as likely, weights and ifmap.
enum class Data { kRelu, kDense };
constexpr std::pair<const char*, Data> kData[] = {{"relu", Data::kRelu}, {"dense", Data::kDense}};

struct Layer {
  QuantizedNetwork network;
  std::vector<int32_t> codes;
  const QuantizedLayer& layer() const { return network.layers[0]; }
  const MatmulWorkload& workload() const { return std::get<MatmulWorkload>(layer().workload); }
  // As the layer before leaves them.
  CodeTensor ifmap() const {
    const Window& w = workload().window;
    const int64_t pixels = w.ifmap_rows * w.ifmap_cols;
    CodeTensor planes, made;
    planes.assign_planes(codes);
    std::vector<uint8_t> scratch;
    const CodeTensor::Shape shape{1, w.ifmap_channels, pixels};
    const auto bytes = planes.bytes(shape, 0, scratch);
    std::copy(bytes.begin(), bytes.end(), made.write_bytes(shape, 0).begin());
    return made;
  }
};

Layer make_layer(const LayerCase& c, Data data) {
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
  layer.weight_format = {8, true};
  layer.weight_scales = {1};
  layer.bias.assign(static_cast<size_t>(c.ofmaps), 0);
  std::exponential_distribution<double> magnitude(1.0 / 18);
  for (int64_t i = 0; i < workload.weight_elements(); ++i) {
    const int code = data == Data::kRelu ? std::min(127, static_cast<int>(magnitude(random)))
                                         : static_cast<int>(random() % 128);
    layer.weights.push_back(random() % 2 != 0 ? code : -code);
  }
  Layer made;
  std::normal_distribution<double> value(0, 60);
  for (int64_t i = 0; i < w.ifmap_elements(); ++i) {
    made.codes.push_back(data == Data::kRelu ? std::clamp(static_cast<int>(value(random)), 0, 255)
                                             : static_cast<int>(random() % 256));
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

Accumulation accumulation(int64_t lanes, int bits, OverflowPolicy policy) {
  Accumulation made;
  made.stages = {Stage{.bits = bits, .overflow = policy}};
  if (lanes > 1) {
    made.stages.insert(made.stages.begin(), Stage{.kind = Stage::Kind::kTree, .length = lanes});
  }
  return made;
}

void set_rate(benchmark::State& state, const MatmulWorkload& workload) {
  state.counters["GMAC/s"] = benchmark::Counter(static_cast<double>(workload.additions()) * 1e-9,
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void run_onednn(benchmark::State& state, const LayerCase& c, Data data,
                OneDnnConvolution::Ofmap ofmap) {
  const Layer layer = make_layer(c, data);
  OneDnnConvolution convolution(layer.workload(), 1, layer.layer().weights, ofmap);
  convolution.set_ifmap(layer.codes);
  for (auto _ : state) convolution.run();
  set_rate(state, layer.workload());
}

// Keeps the sums, [pixels, channels], as oneDNN does.
class SumsByPixel : public TileSink {
 public:
  explicit SumsByPixel(const Window& w)
      : values(static_cast<size_t>(w.ofmap_elements())), channels_(w.ofmap_channels) {}
  void tile(int64_t channel, int64_t channels, int64_t pixel, int64_t count,
            const int32_t* sums) override {
    for (int64_t p = 0; p < count; ++p) {
      std::copy_n(sums + p * kTileChannels, channels,
                  values.begin() + (pixel + p) * channels_ + channel);
    }
  }
  std::vector<int32_t> values;

 private:
  int64_t channels_;
};

std::shared_ptr<const ByteLayer> exact_bytes(const Layer& layer) {
  return pack_bytes(layer.layer(), layer.network.tensors[0].quantization, {}, KernelMode::kExact,
                    default_kernels());
}

void run_sums(benchmark::State& state, const LayerCase& c, Data data) {
  const Layer layer = make_layer(c, data);
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
  const Layer layer = make_layer(c, data);
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
    const Layer layer = make_layer(c, Data::kDense);
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
