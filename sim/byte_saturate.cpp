#include "sim/byte_saturate.h"

#include <algorithm>
#include <cstdlib>

#include "hwmodel/tiling.h"
#include "sim/code_tensor.h"

namespace widthwise {
namespace {

constexpr int64_t kPixelsTogether = 256;
constexpr int64_t kSpreadBytes = 32 << 10;  // of weights, which stay in the nearest cache
// Tiles of a unit, before watching is given up; and where most of the layer's failed so far.
constexpr int64_t kLeastWatched = 4, kLeastHopeless = 1;
constexpr size_t kSampleBytes = 4096;  // that tell how to begin
constexpr double kAllShare = 0.75;     // of values other than 0, from which all are added

size_t at(int64_t index) { return static_cast<size_t>(index); }

// channels: of a group.
SaturateForm form_of(int bits, bool both_signs, int64_t channels) {
  SaturateForm form;
  form.lanes = bits > 16    ? SaturateLanes::kInt32
               : bits == 16 ? SaturateLanes::kInt16
                            : SaturateLanes::kInt16Rails;
  form.bits = bits;
  form.both_signs = both_signs;
  const int64_t width = channels > kTileChannels ? kMaxWidth : 1;
  const bool twice = form.lanes == SaturateLanes::kInt16Rails && both_signs;
  form.products =
      std::max(kListBytes,
               std::min(2 * kListBytes, kSpreadBytes / (form.row_bytes() * width * (1 + twice))));
  return form;
}

}  // namespace

std::optional<ByteSaturate> ByteSaturate::pack(const QuantizedLayer& layer,
                                               const TensorQuantization& ifmap,
                                               const Accumulation& accumulation,
                                               const KernelTable& kernels) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const Stage& chain = accumulation.outermost();
  const int64_t channels = workload.group_ofmap_channels();
  if (accumulation.lanes() != 1) return std::nullopt;
  if (!fills_lanes(workload)) return std::nullopt;
  if (!suits_bytes(layer, ifmap, accumulation, KernelMode::kSaturate, kernels, kInt32Limit))
    return std::nullopt;
  const int32_t zero_byte = ifmap.zero_point + CodeTensor::byte_offset(ifmap.format);
  ByteSaturate packed(workload, ByteIfmap::ordered(workload, zero_byte, accumulation));
  packed.kernels_ = &kernels;
  packed.form_ = form_of(chain.bits, zero_byte != 0, channels);
  packed.together_ = packed.ifmap_.blocks_lie_together(kBlockQuads);
  for (int64_t group = 0; group < workload.groups; ++group) {
    for (int64_t first = 0; first < channels; first += kTileChannels)
      packed.add_block(layer, accumulation, group * channels + first,
                       std::min(kTileChannels, channels - first));
  }
  if (!packed.pack_weights(layer)) return std::nullopt;
  packed.choose_watch(std::max(std::abs(ifmap.format.min() - ifmap.zero_point),
                               std::abs(ifmap.format.max() - ifmap.zero_point)));
  return packed;
}

void ByteSaturate::add_block(const QuantizedLayer& layer, const Accumulation& accumulation,
                             int64_t channel, int64_t channels) {
  const bool preload = accumulation.bias == BiasMode::kPreload;
  Block block;
  block.channel = channel;
  block.channels = channels;
  block.vectors = ceil_div(channels, kLaneChannels);
  blocks_.push_back(block);
  for (int64_t c = 0; c < kTileChannels; ++c) {
    const int32_t bias = c < channels ? layer.bias[at(channel + c)] : 0;
    const int64_t start = fit(bias, form_.bits, OverflowPolicy::kSaturate);
    start_.push_back(preload ? static_cast<int32_t>(start) : 0);
    if (!preload) last_.push_back(bias);
  }
}

bool ByteSaturate::pack_weights(const QuantizedLayer& layer) {
  const int64_t blocks = std::ssize(blocks_) / workload_.groups;
  for (int64_t block = 0; block < std::ssize(blocks_);) {
    const int64_t inside = block % blocks;
    Unit unit{block, std::min(kMaxWidth, blocks - inside), std::ssize(weights_),
              inside * kTileChannels};
    const int64_t channels = unit.width * kTileChannels;
    weights_.resize(weights_.size() + at(padded_products() * channels), 0);
    for (int64_t c = 0; c < channels; ++c) {
      if (c % kTileChannels >= blocks_[at(block + c / kTileChannels)].channels) continue;
      if (!pack_channel(layer, unit, c)) return false;
    }
    units_.push_back(unit);
    block += unit.width;
  }
  return true;
}

bool ByteSaturate::pack_channel(const QuantizedLayer& layer, const Unit& unit, int64_t index) {
  const int64_t oc = blocks_[at(unit.block)].channel + index;
  int8_t* to = weights_.data() + unit.weights + index;
  for (const ByteIfmap::Slot& slot : ifmap_.slots()) {
    int32_t weight = 0;
    if (slot.channel >= 0) {
      const int64_t from = workload_.weight_index(oc, slot.channel, slot.row, slot.col);
      weight = layer.weights[at(from)] - layer.weight_zero_point(oc);
      if (weight != static_cast<int8_t>(weight)) return false;
    }
    *to = static_cast<int8_t>(weight);
    to += unit.width * kTileChannels;
  }
  return true;
}

// Half of the largest sum of magnitudes that `quads` products between two points can have, rounded
// up.
int64_t ByteSaturate::half_of_magnitudes(int64_t quads, int64_t largest_value) const {
  int64_t most = 0;
  for (const Unit& unit : units_) {
    const int64_t channels = unit.width * kTileChannels;
    for (int64_t first = 0; first < padded_products(); first += quads * 4) {
      const int8_t* weights = weights_.data() + unit.weights + first * channels;
      int64_t sums[kMaxWidth * kTileChannels] = {};
      for (int64_t i = 0; i < quads * 4; ++i) {
        for (int64_t c = 0; c < channels; ++c) sums[c] += std::abs(*weights++);
      }
      most = std::max(most, *std::max_element(sums, sums + channels));
    }
  }
  return ceil_div(most * largest_value, 2);
}

// The longest way between two points that leaves sums some room.
void ByteSaturate::choose_watch(int64_t largest_value) {
  int64_t largest_start = 0;
  for (const int32_t start : start_)
    largest_start = std::max<int64_t>(largest_start, std::abs(start));
  const int64_t half = int64_t{1} << (form_.bits - 1), most = half / 8 * 3;
  for (const int64_t quads : {16, 8, 4, 2}) {
    const int64_t margin = half_of_magnitudes(quads, largest_value);
    if (margin > most || largest_start + margin >= half) continue;
    watch_quads_ = quads;
    margin_ = static_cast<int32_t>(margin);
    break;
  }
  if (watch_quads_ > 0) pack_watched();
}

void ByteSaturate::pack_watched() {
  const int64_t quads = ifmap_.quads();
  for (const Unit& unit : units_) {
    for (int64_t b = 0; b < unit.width; ++b) {
      Block& block = blocks_[at(unit.block + b)];
      const int8_t* from = weights_.data() + unit.weights + b * kTileChannels;
      const int64_t lanes = block.vectors * kLaneChannels;
      block.watched_weights = std::ssize(watched_weights_);
      block.corrections = std::ssize(corrections_);
      watched_weights_.resize(at(block.watched_weights + quads * lanes * 4));
      corrections_.resize(at(block.corrections + ceil_div(quads, watch_quads_) * lanes), 0);
      for (int64_t product = 0; product < quads * 4; ++product) {
        const int64_t quad = product / 4;
        for (int64_t c = 0; c < lanes; ++c) {
          const int8_t weight = from[product * unit.width * kTileChannels + c];
          watched_weights_[at(block.watched_weights + (quad * lanes + c) * 4 + product % 4)] =
              weight;
          int32_t& share = corrections_[at(block.corrections + quad / watch_quads_ * lanes + c)];
          share = wrapping_add(share, int64_t{-weight} * ifmap_.zero_byte());
        }
      }
    }
  }
}

void ByteSaturate::run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace,
                       TileSink& sink, LayerCensus*) const {
  const auto per_group = std::ssize(units_) / workload_.groups;
  std::vector<Watched> watched(units_.size() + 1);
  const auto sample = bytes.first(std::min(bytes.size(), kSampleBytes));
  const auto zeros = std::count(sample.begin(), sample.end(), ifmap_.zero_byte());
  bool all_values = suits_all(std::ssize(sample) - zeros, std::ssize(sample));
  ifmap_.for_each(
      bytes, images, false, *kernels_->bytes, workspace, [&](const ByteIfmap::Windows& windows) {
        const int64_t all = std::ssize(windows.pixels);
        for (int64_t first = 0; first < all; first += kPixelsTogether) {
          const Pixels pixels{windows.pixels.data() + first, std::min(kPixelsTogether, all - first),
                              windows.first_pixel + first, windows.group * per_group, per_group};
          if (watch(pixels, watched, workspace, sink))
            saturate(pixels, all_values, workspace, sink);
        }
      });
}

bool ByteSaturate::suits_all(int64_t others, int64_t values) const {
  return form_.lanes == SaturateLanes::kInt32 &&
         static_cast<double>(others) > kAllShare * static_cast<double>(values);
}

bool ByteSaturate::watch(const Pixels& pixels, std::vector<Watched>& watched, Workspace& workspace,
                         TileSink& sink) const {
  workspace.left.assign(at(pixels.units * pixels.count), 1);
  if (watch_quads_ == 0) return true;
  bool any = false;
  ByteTile tile;
  tile.offsets = ifmap_.offsets();
  tile.quads = ifmap_.quads();
  tile.quads_per_fit = watch_quads_;
  tile.zero_byte = ifmap_.zero_byte();
  tile.bits = form_.bits;
  for (int64_t u = 0; u < pixels.units; ++u) {
    Watched &own = watched[at(pixels.first_unit + u)], &all = watched.back();
    const int64_t least =
        all.failed * 2 < all.tiles + kLeastWatched ? kLeastWatched : kLeastHopeless;
    for_each_tile(pixels.count, kSaturatePixels, [&](int64_t pixel, int64_t count) {
      tile.pixels = pixels.windows + pixel;
      tile.count = count;
      // Watching costs a third of what it saves, or less.
      const bool look = own.tiles < least || own.failed * 2 < own.tiles;
      const bool within =
          look && watch_tile(units_[at(pixels.first_unit + u)], tile, pixels.first + pixel, sink);
      for (Watched* w : {&own, &all}) {
        w->tiles += look;
        w->failed += look && !within;
      }
      any = any || !within;
      if (within) std::fill_n(workspace.left.begin() + u * pixels.count + pixel, count, 0);
    });
  }
  return any;
}

bool ByteSaturate::watch_tile(const Unit& unit, ByteTile& tile, int64_t pixel,
                              TileSink& sink) const {
  alignas(64) int32_t sums[kMaxWidth][kSaturatePixels * kTileChannels];
  for (int64_t b = 0; b < unit.width; ++b) {
    const int64_t index = unit.block + b;
    const Block& block = blocks_[at(index)];
    tile.vectors = block.vectors;
    tile.weights = watched_weights_.data() + block.watched_weights;
    tile.start = start_.data() + index * kTileChannels;
    tile.corrections = corrections_.data() + block.corrections;
    tile.last = last_.empty() ? nullptr : last_.data() + index * kTileChannels;
    tile.sums = sums[b];
    if (!kernels_->bytes->saturate->within(tile, margin_)) return false;
  }
  for (int64_t b = 0; b < unit.width; ++b) {
    const Block& block = blocks_[at(unit.block + b)];
    sink.tile(block.channel, block.channels, pixel, tile.count, sums[b]);
  }
  return true;
}

uint8_t* ByteSaturate::kept_sums(const Pixels& pixels, const Unit& unit, int64_t pixel,
                                 Workspace& workspace) const {
  const int64_t sums = unit.channels * pixels.count + pixel * unit.width * kTileChannels;
  return workspace.kept_sums.data() + sums * form_.sum_bytes();
}

void ByteSaturate::saturate(const Pixels& pixels, bool& all, Workspace& workspace,
                            TileSink& sink) const {
  workspace.kept_sums.resize(
      at(pixels.units * pixels.count * kMaxWidth * kTileChannels * form_.sum_bytes()));
  SaturatedSumsJob job{.form = form_};
  for (int64_t u = 0; u < pixels.units; ++u) {
    const Unit& unit = units_[at(pixels.first_unit + u)];
    for (int64_t p = 0; p < pixels.count; ++p) {
      for (int64_t b = 0; b < unit.width; ++b) {
        job.start = start_.data() + (unit.block + b) * kTileChannels;
        job.kept = kept_sums(pixels, unit, p, workspace) + b * kTileChannels * form_.sum_bytes();
        kernels_->bytes->saturate->begin_sums(job);
      }
    }
  }
  for (int64_t first = 0; first < ifmap_.quads() * 4; first += form_.products)
    add_products(pixels, first, all, workspace);
  give_sums(pixels, workspace, sink);
}

// Products from `first` on. all: whether zeros are added, too; set for the next products.
void ByteSaturate::add_products(const Pixels& pixels, int64_t first, bool& all,
                                Workspace& workspace) const {
  const SaturateKernelTable& kernels = *kernels_->bytes->saturate;
  const int64_t products = std::min(form_.products, ifmap_.quads() * 4 - first);
  const auto values = at(pixels.count * form_.products + 16);
  workspace.values.resize(values);
  workspace.places.resize(values);
  workspace.groups.resize(values / kListGroup + 8);
  workspace.spread_weights.resize(at(2 * form_.products * form_.row_bytes() * kMaxWidth / 2));
  ListValuesJob list;
  list.form = form_;
  list.pixels = pixels.windows;
  list.count = pixels.count;
  list.offsets = ifmap_.offsets() + first / 4;
  list.together = together_;
  list.zero_byte = ifmap_.zero_byte();
  list.products = products;
  list.all = all;
  list.values = workspace.values.data();
  list.places = workspace.places.data();
  list.groups = workspace.groups.data();
  const int64_t others = kernels.list_values(list);
  for (int64_t u = 0; u < pixels.units; ++u) add_to_unit(pixels, u, first, list, workspace);
  all = suits_all(others, products * pixels.count);
}

// What was listed, to the sums that are left.
void ByteSaturate::add_to_unit(const Pixels& pixels, int64_t u, int64_t first,
                               const ListValuesJob& list, Workspace& workspace) const {
  const SaturateKernelTable& kernels = *kernels_->bytes->saturate;
  const Unit& unit = units_[at(pixels.first_unit + u)];
  const uint8_t* left = workspace.left.data() + u * pixels.count;
  const int64_t count = std::count(left, left + pixels.count, 1);
  if (count == 0) return;
  const int8_t* weights = weights_.data() + unit.weights + first * unit.width * kTileChannels;
  int16_t* spread = workspace.spread_weights.data();
  uint8_t* sums = kept_sums(pixels, unit, 0, workspace);
  kernels.spread_weights({form_, unit.width, weights, list.products, spread});
  if (list.all) {
    workspace.left_pixels.clear();
    for (int64_t p = 0; p < pixels.count; ++p) {
      if (left[p] != 0) workspace.left_pixels.push_back(static_cast<int32_t>(p));
    }
    kernels.add_all({form_, unit.width, workspace.left_pixels.data(), count, list.products,
                     list.values, spread, reinterpret_cast<int32_t*>(sums)});
    return;
  }
  AddListedJob add{form_,       unit.width,  list.groups, list.group_count,
                   list.values, list.places, spread,      sums};
  if (count < pixels.count) {
    workspace.left_groups.clear();
    std::copy_if(list.groups, list.groups + list.group_count,
                 std::back_inserter(workspace.left_groups),
                 [&](const ListGroup& group) { return left[group.pixel] != 0; });
    add.groups = workspace.left_groups.data();
    add.group_count = std::ssize(workspace.left_groups);
  }
  kernels.add_listed(add);
}

void ByteSaturate::give_sums(const Pixels& pixels, Workspace& workspace, TileSink& sink) const {
  alignas(64) int32_t sums[kTilePixels * kTileChannels];
  SaturatedSumsJob job{.form = form_};
  for (int64_t u = 0; u < pixels.units; ++u) {
    const Unit& unit = units_[at(pixels.first_unit + u)];
    const uint8_t* left = workspace.left.data() + u * pixels.count;
    for (int64_t b = 0; b < unit.width; ++b) {
      const int64_t index = unit.block + b;
      const Block& block = blocks_[at(index)];
      job.last = last_.empty() ? nullptr : last_.data() + index * kTileChannels;
      for (int64_t p = 0; p < pixels.count;) {
        int64_t count = 0;
        for (; count < kTilePixels && p + count < pixels.count && left[p + count] != 0; ++count) {
          job.kept =
              kept_sums(pixels, unit, p + count, workspace) + b * kTileChannels * form_.sum_bytes();
          job.sums = sums + count * kTileChannels;
          kernels_->bytes->saturate->end_sums(job);
        }
        if (count > 0) sink.tile(block.channel, block.channels, pixels.first + p, count, sums);
        p += std::max<int64_t>(count, 1);
      }
    }
  }
}

}  // namespace widthwise
