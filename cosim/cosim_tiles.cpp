#include "cosim/cosimulate.h"

namespace widthwise {
namespace {

int64_t at(std::span<const int32_t> values, int64_t index) {
  return values[static_cast<size_t>(index)];
}

// One output of a layer, by the definition in sim/reference.h.
Reduction reference_output(const QuantizedLayer& layer, int32_t zero_point,
                           std::span<const int32_t> codes, const Accumulation& accumulation,
                           std::span<const Tap> taps, int64_t channel, int64_t pixel) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const Window& w = workload.window;
  const int64_t per_group = workload.group_ifmap_channels();
  const int64_t first = channel / workload.group_ofmap_channels() * per_group;
  std::vector<int64_t> products;
  for (const Tap& tap : taps) {
    const int64_t y = pixel / w.ofmap_cols * w.stride_rows - w.pad_top + tap.row * w.dilation_rows;
    const int64_t x = pixel % w.ofmap_cols * w.stride_cols - w.pad_left + tap.col * w.dilation_cols;
    const bool inside = y >= 0 && y < w.ifmap_rows && x >= 0 && x < w.ifmap_cols;
    const int64_t weight =
        at(layer.weights, workload.weight_index(channel, tap.channel, tap.row, tap.col));
    const int64_t ifmap =
        inside
            ? at(codes, ((first + tap.channel) * w.ifmap_rows + y) * w.ifmap_cols + x) - zero_point
            : 0;
    products.push_back(ifmap * weight);
  }
  return reduce(accumulation, products, at(layer.bias, channel));
}

}  // namespace

std::vector<CosimTile> layer_cosim_tiles(const Accelerator& accelerator,
                                         const ArrayParameters& array, const QuantizedLayer& layer,
                                         const TensorQuantization& ifmap,
                                         std::span<const int32_t> codes,
                                         std::span<const TileChoice> choices) {
  check_layer_fits(accelerator, array, layer, ifmap);
  const Accumulation& accumulation = accelerator.datapath.accumulation;
  const auto taps = reduction_taps(std::get<MatmulWorkload>(layer.workload), accumulation);
  std::vector<CosimTile> tiles;
  for (const TileChoice& choice : choices) {
    CosimTile tile{layer_tile(layer, ifmap, codes, accumulation, choice), {}};
    for (const int64_t pixel : choice.pixels) {
      for (const int64_t channel : choice.channels) {
        tile.expected.push_back(
            reference_output(layer, ifmap.zero_point, codes, accumulation, taps, channel, pixel));
      }
    }
    tiles.push_back(std::move(tile));
  }
  return tiles;
}

std::vector<CosimTile> operand_cosim_tiles(const Accelerator& accelerator,
                                           std::vector<TileOperands> operands) {
  std::vector<CosimTile> tiles;
  for (TileOperands& tile : operands) {
    CosimTile made{std::move(tile), {}};
    const TileOperands& t = made.operands;
    std::vector<int64_t> products(static_cast<size_t>(t.reduction_length));
    for (const auto& row : t.ifmap) {
      for (size_t c = 0; c < t.weight.size(); ++c) {
        for (size_t k = 0; k < products.size(); ++k) {
          products[k] = (int64_t{row[k]} - t.zero_point) * t.weight[c][k];
        }
        made.expected.push_back(reduce(accelerator.datapath.accumulation, products, t.bias[c]));
      }
    }
    tiles.push_back(std::move(made));
  }
  return tiles;
}

}  // namespace widthwise
