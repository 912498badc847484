#pragma once
#include "bench/random_layer.h"
#include "core/accumulation.h"
#include "sim/byte_layer.h"
#include "sim/code_tensor.h"

namespace widthwise {

// The layers that paths and their peers are measured on.
struct LayerCase {
  const char* name;
  ConvolutionShape shape;
};
inline constexpr LayerCase kLayers[] = {
    {"conv3x3_64_64_at56", {.ifmaps = 64, .ofmaps = 64, .size = 56, .kernel = 3}},
    {"conv3x3_256_256_at14", {.ifmaps = 256, .ofmaps = 256, .size = 14, .kernel = 3}},
    {"conv3x3_512_512_at7", {.ifmaps = 512, .ofmaps = 512, .size = 7, .kernel = 3}},
    {"conv1x1_256_512_at14", {.ifmaps = 256, .ofmaps = 512, .size = 14}},
    {"fc_512_1000", {.ifmaps = 512, .ofmaps = 1000}},
    {"depthwise3x3_256_at14",
     {.ifmaps = 256, .ofmaps = 256, .size = 14, .kernel = 3, .groups = 256}},
};
inline constexpr std::pair<const char*, Data> kData[] = {{"relu", Data::kRelu},
                                                         {"dense", Data::kDense}};

// A network of one layer and the codes of its ifmap.
struct SingleLayer {
  SingleLayer(const LayerCase& layer_case, Data data);
  QuantizedNetwork network;
  std::vector<int32_t> codes;
  const QuantizedLayer& layer() const { return network.layers[0]; }
  const MatmulWorkload& workload() const { return std::get<MatmulWorkload>(layer().workload); }
  const TensorQuantization& ifmap_quantization() const { return network.tensors[0].quantization; }
  CodeTensor ifmap() const;  // as the layer before leaves it
};

// [chain all], or [tree `lanes`, chain all] for more than one lane.
Accumulation accumulation(int64_t lanes, int bits, OverflowPolicy policy);

// Keeps sums as oneDNN does: [pixels, channels].
class SumsByPixel : public TileSink {
 public:
  explicit SumsByPixel(const Window& window)
      : values(static_cast<size_t>(window.ofmap_elements())), channels_(window.ofmap_channels) {}
  void tile(int64_t channel, int64_t channels, int64_t pixel, int64_t count,
            const int32_t* sums) override;
  std::vector<int32_t> values;

 private:
  int64_t channels_;
};

}  // namespace widthwise
