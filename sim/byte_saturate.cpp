#include "sim/byte_saturate.h"

#include <algorithm>
#include <cstdlib>

#include "hwmodel/tiling.h"
#include "sim/code_tensor.h"

namespace widthwise {
namespace {

constexpr int64_t kLeastGroupChannels = 8;
constexpr int64_t kPixelsTogether = 256;
constexpr int64_t kLeastWatched = 4;  // tiles of a block, before watching is given up
constexpr int64_t kPixelsInTurn = 4;  // whose groups take turns, so that none waits for itself
constexpr double kAllShare = 0.75;    // of values other than 0, from which all are added

size_t at(int64_t index) { return static_cast<size_t>(index); }

}  // namespace

std::optional<ByteSaturate> ByteSaturate::pack(const QuantizedLayer& layer,
                                               const TensorQuantization& ifmap,
                                               const Accumulation& accumulation,
                                               const KernelTable& kernels) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const Stage& chain = accumulation.outermost();
  if (accumulation.lanes() != 1) return std::nullopt;
  if (workload.groups > 1 && workload.group_ofmap_channels() < kLeastGroupChannels)
    return std::nullopt;
  if (!suits_bytes(layer, ifmap, accumulation, KernelMode::kSaturate, kernels, kInt32Limit))
    return std::nullopt;
  const int32_t zero_byte = ifmap.zero_point + CodeTensor::byte_offset(ifmap.format);
  ByteSaturate packed(workload, ByteIfmap::ordered(workload, zero_byte, accumulation));
  packed.kernels_ = &kernels;
  packed.bits_ = chain.bits;
  packed.lanes_ = chain.bits > 16    ? SaturateLanes::kInt32
                  : chain.bits == 16 ? SaturateLanes::kInt16
                                     : SaturateLanes::kInt16Rails;
  packed.both_signs_ = zero_byte != 0;
  packed.together_ = packed.ifmap_.blocks_lie_together(kBlockQuads);
  const bool preload = accumulation.bias == BiasMode::kPreload;
  int32_t largest_start = 0;
  for (int64_t group = 0; group < workload.groups; ++group) {
    const int64_t channels = workload.group_ofmap_channels();
    for (int64_t first = 0; first < channels; first += kTileChannels) {
      Block block;
      block.channel = group * channels + first;
      block.channels = std::min(kTileChannels, channels - first);
      block.vectors = ceil_div(block.channels, kLaneChannels);
      packed.blocks_.push_back(block);
      for (int64_t c = 0; c < kTileChannels; ++c) {
        const int32_t bias = c < block.channels ? layer.bias[at(block.channel + c)] : 0;
        const int64_t start = preload ? fit(bias, chain.bits, chain.overflow) : 0;
        packed.start_.push_back(static_cast<int32_t>(start));
        largest_start = std::max(largest_start, static_cast<int32_t>(std::abs(start)));
        if (!preload) packed.last_.push_back(bias);
      }
    }
  }
  if (!packed.pack_weights(layer)) return std::nullopt;
  packed.choose_watch(std::max(std::abs(ifmap.format.min() - ifmap.zero_point),
                               std::abs(ifmap.format.max() - ifmap.zero_point)),
                      largest_start);
  return packed;
}

bool ByteSaturate::pack_weights(const QuantizedLayer& layer) {
  weights_.resize(blocks_.size() * at(padded_products() * kTileChannels), 0);
  for (const Block& block : blocks_) {
    for (int64_t c = 0; c < block.channels; ++c) {
      if (!pack_channel(layer, block, c)) return false;
    }
  }
  return true;
}

bool ByteSaturate::pack_channel(const QuantizedLayer& layer, const Block& block, int64_t index) {
  const Window& w = workload_.window;
  const int64_t oc = block.channel + index, block_index = &block - blocks_.data();
  const auto slots = ifmap_.slots();
  int8_t* to = weights_.data() + block_index * padded_products() * kTileChannels + index;
  for (const ByteIfmap::Slot& slot : slots) {
    int32_t weight = 0;
    if (slot.channel >= 0) {
      const int64_t row =
          (oc * workload_.group_ifmap_channels() + slot.channel) * w.kernel_rows + slot.row;
      weight = layer.weights[at(row * w.kernel_cols + slot.col)] - layer.weight_zero_point(oc);
      if (weight != static_cast<int8_t>(weight)) return false;
    }
    *to = static_cast<int8_t>(weight);
    to += kTileChannels;
  }
  return true;
}

// Half of the largest sum of magnitudes that `quads` products between two points can have, rounded
// up.
int64_t ByteSaturate::half_of_magnitudes(int64_t quads, int64_t largest_value) const {
  int64_t most = 0;
  for (size_t block = 0; block < blocks_.size(); ++block) {
    const int8_t* weights = weights_.data() + block * at(padded_products() * kTileChannels);
    for (int64_t first = 0; first < padded_products(); first += quads * 4) {
      int64_t sums[kTileChannels] = {};
      for (int64_t i = 0; i < quads * 4 * kTileChannels; ++i)
        sums[i % kTileChannels] += std::abs(weights[first * kTileChannels + i]);
      most = std::max(most, *std::max_element(sums, sums + kTileChannels));
    }
  }
  return ceil_div(most * largest_value, 2);
}

// The longest way between two points that leaves sums some room.
void ByteSaturate::choose_watch(int64_t largest_value, int32_t largest_start) {
  const int64_t half = int64_t{1} << (bits_ - 1), most = half / 4;
  for (const int64_t quads : {8, 4, 2}) {
    const int64_t margin = half_of_magnitudes(quads, largest_value);
    if (margin > most || largest_start + margin >= half) continue;
    watch_quads_ = quads;
    margin_ = static_cast<int32_t>(margin);
    break;
  }
  if (watch_quads_ == 0) return;
  const int64_t quads = ifmap_.quads();
  for (Block& block : blocks_) {
    const int8_t* from =
        weights_.data() + (&block - blocks_.data()) * padded_products() * kTileChannels;
    block.watched_weights = std::ssize(watched_weights_);
    block.corrections = std::ssize(corrections_);
    watched_weights_.resize(at(block.watched_weights + quads * block.vectors * 64));
    const int64_t lanes = block.vectors * kLaneChannels;
    corrections_.resize(at(block.corrections + ceil_div(quads, watch_quads_) * lanes), 0);
    for (int64_t product = 0; product < quads * 4; ++product) {
      for (int64_t c = 0; c < lanes; ++c) {
        const int8_t weight = from[product * kTileChannels + c];
        const int64_t quad = product / 4;
        watched_weights_[at(block.watched_weights + (quad * lanes + c) * 4 + product % 4)] = weight;
        int32_t& share = corrections_[at(block.corrections + quad / watch_quads_ * lanes + c)];
        share = wrapping_add(share, int64_t{-weight} * ifmap_.zero_byte());
      }
    }
  }
}

void ByteSaturate::run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace,
                       TileSink& sink, LayerCensus*) const {
  const auto per_group = std::ssize(blocks_) / workload_.groups;
  std::vector<Watched> watched(blocks_.size());
  ifmap_.for_each(
      bytes, images, false, *kernels_->bytes, workspace, [&](const ByteIfmap::Windows& windows) {
        const int64_t all = std::ssize(windows.pixels);
        for (int64_t first = 0; first < all; first += kPixelsTogether) {
          const Pixels pixels{windows.pixels.data() + first, std::min(kPixelsTogether, all - first),
                              windows.first_pixel + first, windows.group * per_group, per_group};
          if (watch(pixels, watched, workspace, sink)) saturate(pixels, workspace, sink);
        }
      });
}

bool ByteSaturate::watch(const Pixels& pixels, std::vector<Watched>& watched, Workspace& workspace,
                         TileSink& sink) const {
  workspace.left.assign(at(pixels.blocks * pixels.count), 1);
  if (watch_quads_ == 0) return true;
  bool any = false;
  alignas(64) int32_t sums[kSaturatePixels * kTileChannels];
  ByteTile tile;
  tile.offsets = ifmap_.offsets();
  tile.quads = ifmap_.quads();
  tile.sums = sums;
  tile.quads_per_fit = watch_quads_;
  tile.zero_byte = ifmap_.zero_byte();
  tile.bits = bits_;
  for (int64_t b = 0; b < pixels.blocks; ++b) {
    const int64_t index = pixels.first_block + b;
    const Block& block = blocks_[at(index)];
    Watched& own = watched[at(index)];
    tile.vectors = block.vectors;
    tile.weights = watched_weights_.data() + block.watched_weights;
    tile.start = start_.data() + index * kTileChannels;
    tile.corrections = corrections_.data() + block.corrections;
    tile.last = last_.empty() ? nullptr : last_.data() + index * kTileChannels;
    const int64_t tiles = ceil_div(pixels.count, kSaturatePixels);
    for (int64_t t = 0, pixel = 0; t < tiles; ++t) {  // of equal size, or one less
      const int64_t end = pixels.count * (t + 1) / tiles;
      tile.pixels = pixels.windows + pixel;
      tile.count = end - pixel;
      // Watching costs a third of what it saves, or less.
      const bool look = own.tiles < kLeastWatched || own.failed * 2 < own.tiles;
      const bool within = look && kernels_->bytes->saturate->within(tile, margin_);
      own.tiles += look;
      own.failed += look && !within;
      any = any || !within;
      if (within) {
        std::fill_n(workspace.left.begin() + b * pixels.count + pixel, tile.count, 0);
        sink.tile(block.channel, block.channels, pixels.first + pixel, tile.count, sums);
      }
      pixel = end;
    }
  }
  return any;
}

void ByteSaturate::saturate(const Pixels& pixels, Workspace& workspace, TileSink& sink) const {
  workspace.kept_sums.resize(at(pixels.blocks * pixels.count * sum_bytes()));
  for (int64_t b = 0; b < pixels.blocks; ++b) {
    SaturatedSumsJob job;
    job.lanes = lanes_;
    job.bits = bits_;
    job.start = start_.data() + (pixels.first_block + b) * kTileChannels;
    for (int64_t p = 0; p < pixels.count; ++p) {
      job.kept = workspace.kept_sums.data() + (b * pixels.count + p) * sum_bytes();
      kernels_->bytes->saturate->begin_sums(job);
    }
  }
  bool all = false;
  for (int64_t first = 0; first < ifmap_.quads() * 4; first += products_together())
    add_products(pixels, first, all, workspace);
  give_sums(pixels, workspace, sink);
}

namespace {

// Groups of pixels that take turns, [count] of them each.
void in_turn(const std::vector<int32_t>& counts, std::vector<ListGroup>& groups) {
  groups.clear();
  int32_t begin[kPixelsInTurn], first = 0;
  for (int64_t p = 0; p < std::ssize(counts); p += kPixelsInTurn) {
    const int64_t pixels = std::min(kPixelsInTurn, std::ssize(counts) - p);
    int32_t most = 0;
    for (int64_t i = 0; i < pixels; ++i) {
      begin[i] = first;
      first += counts[at(p + i)] * static_cast<int32_t>(kListGroup);
      most = std::max(most, counts[at(p + i)]);
    }
    for (int32_t group = 0; group < most; ++group) {
      for (int64_t i = 0; i < pixels; ++i) {
        if (group >= counts[at(p + i)]) continue;
        groups.push_back(
            {begin[i] + group * static_cast<int32_t>(kListGroup), static_cast<int32_t>(p + i)});
      }
    }
  }
}

}  // namespace

// Products from `first` on. all: whether zeros are added, too; set for the next products.
void ByteSaturate::add_products(const Pixels& pixels, int64_t first, bool& all,
                                Workspace& workspace) const {
  const SaturateKernelTable& kernels = *kernels_->bytes->saturate;
  const int64_t products = std::min(products_together(), ifmap_.quads() * 4 - first);
  ListValuesJob list;
  list.lanes = lanes_;
  list.bits = bits_;
  list.both_signs = both_signs_;
  list.all = all;
  list.pixels = pixels.windows;
  list.count = pixels.count;
  list.offsets = ifmap_.offsets() + first / 4;
  list.together = together_;
  list.zero_byte = ifmap_.zero_byte();
  list.products = products;
  workspace.values.resize(at(pixels.count * kSaturateProducts + 64));
  workspace.places.resize(workspace.values.size());
  workspace.pixel_groups.resize(at(pixels.count));
  list.values = workspace.values.data();
  list.places = workspace.places.data();
  list.groups = workspace.pixel_groups.data();
  const int64_t listed = kernels.list_values(list);
  if (!all) in_turn(workspace.pixel_groups, workspace.groups);
  workspace.spread_weights.resize(at(kSaturateProducts * 2 * kTileChannels));
  SpreadWeightsJob spread;
  spread.lanes = lanes_;
  spread.bits = bits_;
  spread.both_signs = both_signs_;
  spread.products = products;
  spread.to = workspace.spread_weights.data();
  for (int64_t b = 0; b < pixels.blocks; ++b) {
    const uint8_t* left = workspace.left.data() + b * pixels.count;
    const int64_t count = std::count(left, left + pixels.count, 1);
    if (count == 0) continue;
    spread.weights =
        weights_.data() + ((pixels.first_block + b) * padded_products() + first) * kTileChannels;
    kernels.spread_weights(spread);
    uint8_t* sums = workspace.kept_sums.data() + b * pixels.count * sum_bytes();
    if (all) {
      workspace.left_pixels.clear();
      for (int64_t p = 0; p < pixels.count; ++p) {
        if (left[p] != 0) workspace.left_pixels.push_back(static_cast<int32_t>(p));
      }
      kernels.add_all({workspace.left_pixels.data(), count, products, list.values, spread.to,
                       reinterpret_cast<int32_t*>(sums)});
      continue;
    }
    const std::vector<ListGroup>* groups = &workspace.groups;
    if (count < pixels.count) {
      workspace.left_groups.clear();
      std::copy_if(groups->begin(), groups->end(), std::back_inserter(workspace.left_groups),
                   [&](const ListGroup& group) { return left[group.pixel] != 0; });
      groups = &workspace.left_groups;
    }
    kernels.add_listed(
        {lanes_, groups->data(), std::ssize(*groups), list.values, list.places, spread.to, sums});
  }
  all = lanes_ == SaturateLanes::kInt32 &&
        static_cast<double>(listed) > kAllShare * static_cast<double>(products * pixels.count);
}

void ByteSaturate::give_sums(const Pixels& pixels, Workspace& workspace, TileSink& sink) const {
  alignas(64) int32_t sums[kTilePixels * kTileChannels];
  for (int64_t b = 0; b < pixels.blocks; ++b) {
    const int64_t index = pixels.first_block + b;
    const Block& block = blocks_[at(index)];
    const uint8_t* left = workspace.left.data() + b * pixels.count;
    SaturatedSumsJob job;
    job.lanes = lanes_;
    job.bits = bits_;
    job.last = last_.empty() ? nullptr : last_.data() + index * kTileChannels;
    for (int64_t p = 0; p < pixels.count;) {
      int64_t count = 0;
      for (; count < kTilePixels && p + count < pixels.count && left[p + count] != 0; ++count) {
        job.kept = workspace.kept_sums.data() + (b * pixels.count + p + count) * sum_bytes();
        job.sums = sums + count * kTileChannels;
        kernels_->bytes->saturate->end_sums(job);
      }
      if (count > 0) sink.tile(block.channel, block.channels, pixels.first + p, count, sums);
      p += std::max<int64_t>(count, 1);
    }
  }
}

}  // namespace widthwise
