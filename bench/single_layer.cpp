#include "bench/single_layer.h"

#include <algorithm>

namespace widthwise {

SingleLayer::SingleLayer(const LayerCase& layer_case, Data data) {
  std::mt19937 random(1);
  QuantizedLayer layer = random_layer(layer_case.shape, data, random);
  const Window& w = std::get<MatmulWorkload>(layer.workload).window;
  codes = random_codes(w.ifmap_elements(), data, random);
  layer.name = layer_case.name;
  layer.ifmaps = {0};
  layer.ofmap = 1;
  const TensorQuantization u8{.format = {8, false}, .scale = 1, .zero_point = 0};
  network.tensors = {{"ifmap", {w.ifmap_channels, w.ifmap_rows, w.ifmap_cols}, u8},
                     {"ofmap", {w.ofmap_channels, w.ofmap_rows, w.ofmap_cols}, u8}};
  network.tensors[1].quantization.scale = 100;
  network.input = 0;
  network.output = 1;
  network.layers.push_back(std::move(layer));
}

CodeTensor SingleLayer::ifmap() const {
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

Accumulation accumulation(int64_t lanes, int bits, OverflowPolicy policy) {
  Accumulation made;
  made.stages = {Stage{.bits = bits, .overflow = policy}};
  if (lanes > 1) {
    made.stages.insert(made.stages.begin(), Stage{.kind = Stage::Kind::kTree, .length = lanes});
  }
  return made;
}

void SumsByPixel::tile(int64_t channel, int64_t channels, int64_t pixel, int64_t count,
                       const int32_t* sums) {
  for (int64_t p = 0; p < count; ++p) {
    std::copy_n(sums + p * kTileChannels, channels,
                values.begin() + (pixel + p) * channels_ + channel);
  }
}

}  // namespace widthwise
