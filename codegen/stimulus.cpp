#include "codegen/stimulus.h"

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>

namespace widthwise {
namespace {

// Extents of the array's tiling of a layer.
struct TileGrid {
  int64_t groups, channel_tiles, pixel_tiles;

  TileGrid(const ArrayParameters& array, const MatmulWorkload& workload)
      : groups(workload.groups),
        channel_tiles((workload.group_ofmap_channels() + array.cols - 1) / array.cols),
        pixel_tiles((workload.window.ofmap_pixels() + array.rows - 1) / array.rows) {}
  int64_t count() const { return groups * channel_tiles * pixel_tiles; }
  int64_t index(int64_t group, int64_t channel_tile, int64_t pixel_tile) const {
    return (group * channel_tiles + channel_tile) * pixel_tiles + pixel_tile;
  }
};

TileChoice tile_at(const ArrayParameters& array, const MatmulWorkload& workload, int64_t index) {
  const TileGrid tiling(array, workload);
  const int64_t pixel = index % tiling.pixel_tiles * array.rows;
  const int64_t within = index / tiling.pixel_tiles % tiling.channel_tiles * array.cols;
  const int64_t group = index / tiling.pixel_tiles / tiling.channel_tiles;
  const int64_t per_group = workload.group_ofmap_channels();
  TileChoice choice;
  for (int64_t p = pixel; p < std::min(pixel + array.rows, workload.window.ofmap_pixels()); ++p) {
    choice.pixels.push_back(p);
  }
  for (int64_t c = within; c < std::min(within + array.cols, per_group); ++c) {
    choice.channels.push_back(group * per_group + c);
  }
  return choice;
}

struct ProductEnds {
  std::pair<int32_t, int32_t> largest, smallest;  // ifmap code, weight code
};

ProductEnds product_ends(const ArrayParameters& array, int32_t zero_point) {
  std::vector<std::pair<int64_t, std::pair<int32_t, int32_t>>> corners;
  for (const int64_t code : {array.ifmap.min(), array.ifmap.max()}) {
    for (const int64_t weight : {array.weight.min(), array.weight_max()}) {
      corners.push_back({(code - zero_point) * weight,
                         {static_cast<int32_t>(code), static_cast<int32_t>(weight)}});
    }
  }
  const auto [low, high] = std::minmax_element(corners.begin(), corners.end());
  return {high->second, low->second};
}

int32_t any_code(const IntegerFormat& format, std::mt19937_64& random) {
  const auto span = static_cast<uint64_t>(format.max() - format.min()) + 1;
  return static_cast<int32_t>(format.min() + static_cast<int64_t>(random() % span));
}

int32_t any_end(const IntegerFormat& format, std::mt19937_64& random) {
  return static_cast<int32_t>((random() >> 32) % 2 != 0 ? format.max() : format.min());
}

// Zero, an end of the port, or a value about as large as the accumulator.
int32_t any_bias(const ArrayParameters& array, std::mt19937_64& random) {
  const int port_bits = std::min(array.bias_bits, 32);
  const int bits = std::min(port_bits, array.acc_bits + 1);
  switch (random() % 4) {
    case 0:
      return 0;
    case 1:
      return any_end({port_bits, true}, random);
    default:
      return any_code({bits, true}, random);
  }
}

}  // namespace

std::vector<TileChoice> all_tiles(const ArrayParameters& array, const MatmulWorkload& workload) {
  std::vector<TileChoice> tiles;
  for (int64_t i = 0; i < TileGrid(array, workload).count(); ++i) {
    tiles.push_back(tile_at(array, workload, i));
  }
  return tiles;
}

std::vector<TileChoice> pick_tiles(const ArrayParameters& array, const MatmulWorkload& workload,
                                   int64_t max_macs) {
  const TileGrid tiling(array, workload);
  const int64_t pixel = tiling.pixel_tiles - 1, channel = tiling.channel_tiles - 1;
  const int64_t group = tiling.groups - 1;
  std::vector<int64_t> wanted = {tiling.index(0, 0, 0), tiling.index(group, channel, pixel),
                                 tiling.index(group / 2, channel / 2, pixel / 2),
                                 tiling.index(0, channel, 0), tiling.index(group, 0, pixel)};
  constexpr int64_t kSpread = 4096;  // a prime stride visits every tile once, far apart
  constexpr int64_t kStride = 1000003;
  for (int64_t i = 0; i < std::min(tiling.count(), kSpread); ++i) {
    wanted.push_back(i * kStride % tiling.count());
  }
  std::set<int64_t> taken;
  std::vector<TileChoice> tiles;
  int64_t macs = 0;
  for (const int64_t index : wanted) {
    if (taken.contains(index)) continue;
    TileChoice choice = tile_at(array, workload, index);
    macs += static_cast<int64_t>(choice.pixels.size() * choice.channels.size()) *
            workload.reduction_length();
    if (macs > max_macs && !tiles.empty()) break;
    taken.insert(index);
    tiles.push_back(std::move(choice));
  }
  return tiles;
}

TileOperands layer_tile(const QuantizedLayer& layer, const TensorQuantization& ifmap,
                        std::span<const int32_t> codes, const Accumulation& accumulation,
                        const TileChoice& choice) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const Window& w = workload.window;
  const int64_t group = choice.channels.at(0) / workload.group_ofmap_channels();
  const int64_t group_channels = workload.group_ifmap_channels();

  // Digits of the reduction index, slowest first: extent, and stride in the weight tensor.
  struct Digit {
    int64_t extent, weight_stride;
    ReductionAxis axis;
  };
  std::vector<Digit> digits;
  for (const ReductionAxis axis : accumulation.order) {
    switch (axis) {
      case ReductionAxis::kChannel:
        digits.push_back({group_channels, w.kernel_rows * w.kernel_cols, axis});
        break;
      case ReductionAxis::kRow:
        digits.push_back({w.kernel_rows, w.kernel_cols, axis});
        break;
      case ReductionAxis::kCol:
        digits.push_back({w.kernel_cols, 1, axis});
        break;
    }
  }

  TileOperands tile;
  tile.reduction_length = workload.reduction_length();
  tile.zero_point = ifmap.zero_point;
  tile.ifmap.resize(choice.pixels.size());
  tile.weight.resize(choice.channels.size());
  for (int64_t k = 0; k < tile.reduction_length; ++k) {
    int64_t channel = 0, row = 0, col = 0, weight_offset = 0, rest = k;
    for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
      const int64_t value = rest % digit->extent;
      rest /= digit->extent;
      weight_offset += value * digit->weight_stride;
      (digit->axis == ReductionAxis::kChannel ? channel
       : digit->axis == ReductionAxis::kRow   ? row
                                              : col) = value;
    }
    for (size_t p = 0; p < choice.pixels.size(); ++p) {
      const int64_t y = choice.pixels[p] / w.ofmap_cols * w.stride_rows + row * w.dilation_rows;
      const int64_t x = choice.pixels[p] % w.ofmap_cols * w.stride_cols + col * w.dilation_cols;
      const bool padded = y < w.pad_top || y >= w.pad_top + w.ifmap_rows || x < w.pad_left ||
                          x >= w.pad_left + w.ifmap_cols;
      const int64_t source =
          ((group * group_channels + channel) * w.ifmap_rows + y - w.pad_top) * w.ifmap_cols + x -
          w.pad_left;
      tile.ifmap[p].push_back(padded ? ifmap.zero_point : codes[static_cast<size_t>(source)]);
    }
    for (size_t c = 0; c < choice.channels.size(); ++c) {
      if (choice.channels[c] / workload.group_ofmap_channels() != group) {
        throw std::logic_error("a tile's channels are of one group");
      }
      const int64_t source = choice.channels[c] * tile.reduction_length + weight_offset;
      tile.weight[c].push_back(layer.weights[static_cast<size_t>(source)]);
    }
  }
  for (const int64_t channel : choice.channels) {
    tile.bias.push_back(layer.bias.at(static_cast<size_t>(channel)));
  }
  return tile;
}

TileOperands made_up_tile(const ArrayParameters& array, OperandPattern pattern,
                          int64_t reduction_length, int32_t zero_point, uint64_t seed) {
  std::mt19937_64 random(seed);
  const ProductEnds ends = product_ends(array, zero_point);
  TileOperands tile;
  tile.reduction_length = reduction_length;
  tile.zero_point = zero_point;
  tile.ifmap.resize(static_cast<size_t>(array.rows));
  tile.weight.resize(static_cast<size_t>(array.cols));
  for (int64_t k = 0; k < reduction_length; ++k) {
    // Runs get longer as k grows, so that both rails are reached from either side.
    const bool up = pattern == OperandPattern::kPositiveRail ||
                    (pattern == OperandPattern::kSeesaw && signed_bits(k) % 2 == 0);
    const auto& end = up ? ends.largest : ends.smallest;
    const auto next = [&](const IntegerFormat& format, int32_t driven) {
      if (pattern == OperandPattern::kUniform) return any_code(format, random);
      if (pattern == OperandPattern::kExtremes) return any_end(format, random);
      return driven;
    };
    for (auto& row : tile.ifmap) row.push_back(next(array.ifmap, end.first));
    for (auto& col : tile.weight) {
      const int32_t code = next(array.weight, end.second);
      col.push_back(array.binary_weights() && code == 0 ? 1 : code);
    }
  }
  for (int c = 0; c < array.cols; ++c) tile.bias.push_back(any_bias(array, random));
  return tile;
}

std::vector<TileOperands> made_up_tiles(const ArrayParameters& array, int64_t max_length,
                                        uint64_t seed) {
  std::set<int64_t> lengths = {1, array.lanes, array.lanes + 1, max_length};
  if (array.lanes > 1) lengths.insert(array.lanes - 1);
  for (int64_t power = 2; power <= max_length; power *= 2) {
    lengths.insert({power - 1, power, power + 1});
  }
  std::mt19937_64 random(seed);
  std::set<int32_t> zero_points = {static_cast<int32_t>(array.ifmap.min()),
                                   static_cast<int32_t>(array.ifmap.max()), 0,
                                   any_code(array.ifmap, random)};
  std::vector<TileOperands> tiles;
  for (const int64_t length : lengths) {
    if (length > max_length) continue;
    for (const int32_t zero_point : zero_points) {
      for (const OperandPattern pattern : kOperandPatterns) {
        tiles.push_back(made_up_tile(array, pattern, length, zero_point, random()));
      }
    }
  }
  return tiles;
}

void for_each_beat(const ArrayParameters& array, const TileOperands& tile,
                   const std::function<void(const Beat&)>& visit) {
  const auto column_bias = [&](size_t c) { return c < tile.bias.size() ? tile.bias[c] : 0; };
  PackedBits biases;
  for (size_t c = 0; c < static_cast<size_t>(array.cols); ++c) {
    biases.append(column_bias(c), array.bias_bits);
  }
  const int64_t beats = array.beats(tile.reduction_length);
  for (int64_t b = 0; b < beats; ++b) {
    Beat beat;
    beat.first = b == 0;
    beat.last = b + 1 == beats;
    beat.bias_beat = beat.last && array.bias == BiasMode::kLast;
    beat.bias = biases;
    beat.zero_point.append(tile.zero_point, array.ifmap.bits);
    const auto feed = [&](PackedBits& bus, const std::vector<std::vector<int32_t>>& codes,
                          int extent, int bits, int32_t idle, bool sign_only) {
      for (size_t i = 0; i < static_cast<size_t>(extent); ++i) {
        for (int64_t k = b * array.lanes; k < (b + 1) * array.lanes; ++k) {
          const bool used = i < codes.size() && k < tile.reduction_length;
          const int32_t code = used ? codes[i][static_cast<size_t>(k)] : idle;
          bus.append(sign_only ? code < 0 : code, bits);
        }
      }
    };
    feed(beat.ifmap, tile.ifmap, array.rows, array.ifmap.bits, tile.zero_point, false);
    feed(beat.weight, tile.weight, array.cols, array.weight.bits, 0, array.binary_weights());
    visit(beat);
  }
}

}  // namespace widthwise
