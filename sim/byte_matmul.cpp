#include "sim/byte_matmul.h"

#include <algorithm>

#include "hwmodel/tiling.h"
#include "sim/code_tensor.h"

namespace widthwise {
namespace {

// Of a chain up to which adding product by product is faster than bounds and looks at what they
// leave open.
constexpr int64_t kProductQuads = 100;
constexpr int64_t kLeastWatched = 4;  // tiles, before watching is given up

size_t at(int64_t index) { return static_cast<size_t>(index); }

}  // namespace

std::optional<ByteMatmul> ByteMatmul::pack(const QuantizedLayer& layer,
                                           const TensorQuantization& ifmap,
                                           const Accumulation& accumulation, KernelMode mode,
                                           const KernelTable& kernels) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const Stage& chain = accumulation.outermost();
  const bool saturates = mode == KernelMode::kSaturate, exact = mode == KernelMode::kExact;
  const int64_t lanes = accumulation.lanes();
  if (saturates && lanes == 1) return std::nullopt;  // see ByteSaturate
  const bool chain_census = mode == KernelMode::kCensus && lanes == 1;
  if (!fills_lanes(workload)) return std::nullopt;
  if (!suits_bytes(layer, ifmap, accumulation, mode, kernels,
                   exact ? kInt32Limit : kComparableLimit, chain_census ? 2 : 1))
    return std::nullopt;
  const int32_t zero_byte = ifmap.zero_point + CodeTensor::byte_offset(ifmap.format);
  ByteMatmul packed(workload, exact ? ByteIfmap::unordered(workload, zero_byte)
                                    : ByteIfmap::ordered(workload, zero_byte, accumulation));
  packed.mode_ = mode;
  packed.kernels_ = kernels.bytes;
  packed.quads_per_fit_ = exact || lanes == 1 ? 0 : ceil_div(lanes, 4);
  if (saturates) packed.bits_ = chain.bits;
  packed.product_by_product_ =
      chain_census && zero_byte == 0 && packed.ifmap_.quads() <= kProductQuads;
  packed.together_ = packed.ifmap_.blocks_lie_together(kBlockQuads);
  packed.find_reaches();
  if (!packed.pack_weights(layer)) return std::nullopt;
  for (const Block& block : packed.blocks_) {
    for (int64_t c = 0; c < kTileChannels; ++c) {
      const int32_t bias = c < block.channels ? layer.bias[at(block.channel + c)] : 0;
      const bool preload = exact || accumulation.bias == BiasMode::kPreload;
      const int64_t fitted = saturates ? fit(bias, chain.bits, chain.overflow) : bias;
      if (!preload) packed.last_.push_back(bias);
      for (int64_t reach = 0; preload && reach < std::ssize(packed.reaches_); ++reach) {
        int32_t& start = packed.start_[at(packed.start_at(reach, block) + c)];
        start = wrapping_add(start, fitted);
      }
    }
  }
  return packed;
}

void ByteMatmul::find_reaches() {
  const Window& w = workload_.window;
  for (int64_t row = 0; row < w.ofmap_rows; ++row) {
    Reach reach{0, w.kernel_rows};
    const auto inside = [&](int64_t kernel_row) {
      const int64_t own = row * w.stride_rows - w.pad_top + kernel_row * w.dilation_rows;
      return own >= 0 && own < w.ifmap_rows;
    };
    if (mode_ == KernelMode::kExact) {
      while (reach.first + 1 < reach.end && !inside(reach.first)) ++reach.first;
      while (reach.first + 1 < reach.end && !inside(reach.end - 1)) --reach.end;
    }
    const auto known = std::find(reaches_.begin(), reaches_.end(), reach);
    row_reaches_.push_back(known - reaches_.begin());
    if (known == reaches_.end()) reaches_.push_back(reach);
  }
}

bool ByteMatmul::pack_weights(const QuantizedLayer& layer) {
  const int64_t channels = workload_.group_ofmap_channels(), quads = ifmap_.quads();
  blocks_.reserve(at(block_count()));
  start_.assign(at(std::ssize(reaches_) * block_count() * kTileChannels), 0);
  for (int64_t group = 0; group < workload_.groups; ++group) {
    for (int64_t first = 0; first < channels; first += kTileChannels) {
      Block block;
      block.channel = group * channels + first;
      block.channels = std::min(kTileChannels, channels - first);
      block.vectors = ceil_div(block.channels, kLaneChannels);
      block.weights = std::ssize(weights_);
      block.corrections = std::ssize(corrections_);
      weights_.resize(weights_.size() + at(quads * block.vectors * 64 * streams()), 0);
      if (is_bounded()) {
        rows_.resize(rows_.size() + at(block.channels * row_bytes()));
        corrections_.resize(corrections_.size() +
                            at(ceil_div(quads, point_quads()) * block.vectors * kLaneChannels));
      } else if (quads_per_fit_ > 0) {
        corrections_.resize(corrections_.size() +
                            at(ceil_div(quads, quads_per_fit_) * block.vectors * kLaneChannels));
      }
      blocks_.push_back(block);
      for (int64_t c = 0; c < block.channels; ++c) {
        if (!pack_channel(layer, blocks_.back(), c)) return false;
      }
    }
  }
  if (ifmap_.zero_byte() == 0) corrections_.clear();
  return true;
}

// The kernels' arithmetic wraps, and so do starts and corrections.
bool ByteMatmul::pack_channel(const QuantizedLayer& layer, const Block& block, int64_t index) {
  const int64_t oc = block.channel + index;
  const int32_t zero_point = layer.weight_zero_point(oc);
  const auto slots = ifmap_.slots();
  const auto zero_byte = static_cast<uint32_t>(ifmap_.zero_byte());
  uint32_t sum = 0;  // of the weights so far
  const auto correct = [&](int64_t row, int64_t row_channels, uint32_t weights) {
    corrections_[at(block.corrections + row * row_channels + index)] =
        static_cast<int32_t>(0U - weights * zero_byte);
  };
  uint32_t fitted = 0;  // of the weights of all fits so far
  for (int64_t slot = 0; slot < std::ssize(slots); ++slot) {
    const ByteIfmap::Slot& s = slots[at(slot)];
    const int64_t quad = slot / 4;
    int32_t weight = 0;
    if (s.channel >= 0) {
      weight = layer.weights[at(workload_.weight_index(oc, s.channel, s.row, s.col))] - zero_point;
      if (weight != static_cast<int8_t>(weight)) return false;
    }
    sum += static_cast<uint32_t>(weight);
    if (mode_ == KernelMode::kExact) take_zero_byte(block, index, s.row, weight);
    const int64_t vector = index / kLaneChannels, lane_byte = index % kLaneChannels * 4 + slot % 4;
    const int64_t part = vector / part_vectors() * part_vectors(),
                  vectors = std::min(part_vectors(), block.vectors - part);
    const int64_t to = block.weights + part * ifmap_.quads() * streams() * 64 +
                       (quad * streams() * vectors + vector - part) * 64 + lane_byte;
    pack_weight(weights_.data() + to, vectors * 64, slot % 4, weight);
    if (is_bounded()) {
      rows_[at(oc * row_bytes() + slot)] = static_cast<int8_t>(weight);
      correct(quad / point_quads(), block.vectors * kLaneChannels, sum);
    } else if (quads_per_fit_ > 0) {
      correct(quad / quads_per_fit_, block.vectors * kLaneChannels, sum - fitted);
      if (slot % 4 == 3 && (quad + 1) % quads_per_fit_ == 0) fitted = sum;
    }
  }
  return true;
}

// A weight's share of the zero byte is taken from the starts of those whose sums it is in.
void ByteMatmul::take_zero_byte(const Block& block, int64_t index, int64_t row, int32_t weight) {
  for (int64_t reach = 0; reach < std::ssize(reaches_); ++reach) {
    if (row < reaches_[at(reach)].first || row >= reaches_[at(reach)].end) continue;
    int32_t& start = start_[at(start_at(reach, block) + index)];
    start = wrapping_add(start, -int64_t{weight} * ifmap_.zero_byte());
  }
}

// For all streams, `stride` apart.
void ByteMatmul::pack_weight(int8_t* to, int64_t stride, int64_t slot, int32_t weight) {
  *to = static_cast<int8_t>(weight);
  if (is_bounded()) {
    const bool any_sign = ifmap_.zero_byte() != 0;
    to[stride] = static_cast<int8_t>(any_sign ? -std::abs(weight) : std::max(weight, 0));
  }
  if (!is_chain() || is_bounded()) return;
  const int32_t up = std::max(weight, 0), down = std::min(weight, 0);
  if (slot < 2) {
    to[stride] = static_cast<int8_t>(slot == 1 ? up : weight);
    to[2 * stride] = static_cast<int8_t>(slot == 1 ? down : weight);
  }
  to[3 * stride] = static_cast<int8_t>(slot == 3 ? up : weight);
  to[4 * stride] = static_cast<int8_t>(slot == 3 ? down : weight);
}

void ByteMatmul::run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace,
                     TileSink& sink, LayerCensus* census) const {
  ifmap_.for_each(bytes, images, is_bounded(), *kernels_, workspace,
                  [&](const ByteIfmap::Windows& windows) {
                    for (int64_t i = 0; i < group_blocks(); ++i) {
                      const Block& block = blocks_[at(windows.group * group_blocks() + i)];
                      if (mode_ == KernelMode::kExact) {
                        run_exact(windows, block, sink);
                        continue;
                      }
                      if (mode_ != KernelMode::kCensus) {
                        run_block(windows, block, workspace, sink, nullptr);
                        continue;
                      }
                      TileCensus counted(*census, block.channel, block.channels, *kernels_);
                      run_block(windows, block, workspace, sink, &counted);
                    }
                  });
}

// Tiles of pixels whose rows have the same reach.
void ByteMatmul::run_exact(const ByteIfmap::Windows& windows, const Block& block,
                           TileSink& sink) const {
  const Window& w = workload_.window;
  const int64_t row_quads = ifmap_.quads() / w.kernel_rows;
  alignas(64) int32_t sums[kTilePixels * kTileChannels];
  ByteTile tile;
  tile.vectors = block.vectors;
  tile.sums = sums;
  const int64_t pixels = std::ssize(windows.pixels);
  for (int64_t begin = 0, end = 0; begin < pixels; begin = end) {
    const auto row_of = [&](int64_t pixel) {
      return (windows.first_pixel + pixel) / w.ofmap_cols % w.ofmap_rows;
    };
    const int64_t reach = row_reaches_[at(row_of(begin))];
    while (end < pixels && row_reaches_[at(row_of(end))] == reach)
      end += w.ofmap_cols - (windows.first_pixel + end) % w.ofmap_cols;
    end = std::min(end, pixels);
    const Reach& rows = reaches_[at(reach)];
    tile.offsets = ifmap_.offsets() + rows.first * row_quads;
    tile.quads = (rows.end - rows.first) * row_quads;
    tile.weights = weights_.data() + block.weights + rows.first * row_quads * block.vectors * 64;
    tile.start = start_.data() + start_at(reach, block);
    for_each_tile(end - begin, kTilePixels, [&](int64_t first, int64_t count) {
      tile.pixels = windows.pixels.data() + begin + first;
      tile.count = count;
      kernels_->exact(tile);
      sink.tile(block.channel, block.channels, windows.first_pixel + begin + first, count, sums);
    });
  }
}

void ByteMatmul::run_block(const ByteIfmap::Windows& windows, const Block& block,
                           Workspace& workspace, TileSink& sink, TileCensus* counted) const {
  const int64_t index = &block - blocks_.data();
  const int64_t quads = ifmap_.quads(), blocks = ceil_div(quads, kBlockQuads);
  alignas(64) int32_t sums[kTilePixels * kTileChannels], low[kTilePixels * kTileChannels],
      high[kTilePixels * kTileChannels];
  ByteTile tile;
  tile.vectors = block.vectors;
  tile.offsets = ifmap_.offsets();
  tile.weights = weights_.data() + block.weights;
  tile.quads = quads;
  tile.start = start_.data() + index * kTileChannels;
  tile.sums = sums;
  tile.quads_per_fit = quads_per_fit_;
  tile.zero_byte = ifmap_.zero_byte();
  tile.corrections = corrections_.empty() ? nullptr : corrections_.data() + block.corrections;
  tile.last = last_.empty() ? nullptr : last_.data() + index * kTileChannels;
  tile.bits = bits_;
  tile.low = low;
  tile.high = high;
  ChainJob chain;
  if (is_bounded()) {
    const int64_t scratch = (blocks + 1) * kChainPixels * kLaneChannels;
    workspace.block_sums.resize(at(scratch));
    workspace.block_low.resize(at(scratch));
    workspace.block_high.resize(at(scratch));
    workspace.looks.resize(at(scratch + 2 * kLaneChannels));
    chain.point_quads = point_quads();
    chain.rows = rows_.data() + block.channel * row_bytes();
    chain.together = together_;
    chain.corrections = tile.corrections;
    chain.least = counted->least();
    chain.greatest = counted->greatest();
    chain.starts = counted->starts();
    chain.block_sums = workspace.block_sums.data();
    chain.block_low = workspace.block_low.data();
    chain.block_high = workspace.block_high.data();
    chain.looks = workspace.looks.data();
  }
  int64_t watched = 0, saturated = 0;  // tiles
  for_each_tile(std::ssize(windows.pixels), tile_pixels(), [&](int64_t pixel, int64_t count) {
    tile.pixels = windows.pixels.data() + pixel;
    tile.count = count;
    if (is_bounded()) {
      chain.tile = tile;
      if (tile.zero_byte != 0) chain.magnitudes = windows.magnitudes.data() + pixel;
      kernels_->chain_census(chain);
    } else if (is_chain()) {
      kernels_->chain_extremes(tile);
    } else if (mode_ == KernelMode::kSaturate) {
      // Watching costs little, so it pays unless many tiles have to be run again.
      const bool watch = watched < kLeastWatched || saturated * 4 < watched;
      const bool within = watch && kernels_->tree_within(tile);
      watched += watch;
      saturated += watch && !within;
      if (!within) kernels_->tree_saturate(tile);
    } else {
      kernels_->tree_census(tile);
    }
    if (counted) counted->add(count, sums, low, high);
    sink.tile(block.channel, block.channels, windows.first_pixel + pixel, count, sums);
  });
}

}  // namespace widthwise
