#include "sim/byte_depthwise.h"

#include <algorithm>

#include "hwmodel/tiling.h"
#include "sim/code_tensor.h"

namespace widthwise {
namespace {

size_t at(int64_t index) { return static_cast<size_t>(index); }
constexpr Tap kNoTap{-1, 0, 0};

// Taps in the order of reduction, the products of every fitted addition filled up to whole quads.
std::vector<Tap> quads_of_taps(const MatmulWorkload& workload, const Accumulation& accumulation,
                               int64_t per_fit) {
  std::vector<Tap> slots;
  const std::vector<Tap> taps = reduction_taps(workload, accumulation);
  for (size_t k = 0; k < taps.size(); ++k) {
    slots.push_back(taps[k]);
    if (static_cast<int64_t>(k + 1) % per_fit != 0 && k + 1 != taps.size()) continue;
    while (slots.size() % 4 != 0) slots.push_back(kNoTap);
  }
  return slots;
}

// Whether quads can be columns of the window, which the next window's columns overlap.
bool suits_columns(const Window& w) {
  return w.kernel_cols == kColumnQuads && (w.kernel_rows == 3 || w.kernel_rows == 4) &&
         w.stride_cols == 1 && w.dilation_cols == 1;
}
std::vector<Tap> quads_of_columns(const Window& w) {
  std::vector<Tap> slots;
  for (int64_t col = 0; col < w.kernel_cols; ++col) {
    for (int64_t row = 0; row < 4; ++row)
      slots.push_back(row < w.kernel_rows ? Tap{0, row, col} : kNoTap);
  }
  return slots;
}

}  // namespace

std::optional<ByteDepthwise> ByteDepthwise::pack(const QuantizedLayer& layer,
                                                 const TensorQuantization& ifmap,
                                                 const Accumulation& accumulation, KernelMode mode,
                                                 const KernelTable& kernels) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const Window& w = workload.window;
  const Stage& chain = accumulation.outermost();
  const bool saturates = mode == KernelMode::kSaturate, exact = mode == KernelMode::kExact;
  if (workload.groups != w.ifmap_channels || workload.groups != w.ofmap_channels)
    return std::nullopt;
  if (!suits_bytes(layer, ifmap, accumulation, mode, kernels, kInt32Limit)) return std::nullopt;

  ByteDepthwise packed(
      ByteIfmap::windows(workload, ifmap.zero_point + CodeTensor::byte_offset(ifmap.format)));
  packed.mode_ = exact       ? DepthwiseMode::kExact
                 : saturates ? DepthwiseMode::kSaturate
                             : DepthwiseMode::kCensus;
  packed.kernels_ = kernels.bytes;
  packed.channels_ = workload.groups;
  const int64_t per_fit = exact ? workload.reduction_length()
                                : std::min(accumulation.lanes(), workload.reduction_length());
  const bool columns = exact && suits_columns(w);
  const std::vector<Tap> slots =
      columns ? quads_of_columns(w) : quads_of_taps(workload, accumulation, per_fit);
  if (columns) packed.column_bytes_ = packed.ifmap_.tap_offset(0, 1);
  packed.quads_ = std::ssize(slots) / 4;
  packed.quads_per_fit_ = ceil_div(per_fit, 4);
  packed.one_tap_ = per_fit == 1;
  if (saturates) packed.bits_ = chain.bits;
  for (const Tap& slot : slots) {
    packed.offsets_.push_back(slot.channel < 0 ? 0 : packed.ifmap_.tap_offset(slot.row, slot.col));
  }
  const int64_t blocks = ceil_div(packed.channels_, kTileChannels);
  const int64_t fits = ceil_div(packed.quads_, packed.quads_per_fit_);
  packed.weights_.resize(at(blocks * packed.quads_ * kTileChannels * 4));
  packed.start_.resize(at(blocks * kTileChannels));
  packed.corrections_.resize(at(blocks * fits * kTileChannels));
  const bool preload = exact || accumulation.bias == BiasMode::kPreload;
  if (!preload) packed.last_.resize(packed.start_.size());
  for (int64_t c = 0; c < packed.channels_; ++c) {
    if (!packed.pack_channel(layer, slots, c)) return std::nullopt;
    const size_t lane = at(c / kTileChannels * kTileChannels + depthwise_lane(c % kTileChannels));
    const int32_t bias = layer.bias[at(c)];
    if (!preload) {
      packed.last_[lane] = bias;
    } else {
      packed.start_[lane] = wrapping_add(packed.start_[lane],
                                         saturates ? fit(bias, chain.bits, chain.overflow) : bias);
    }
  }
  if (exact || packed.ifmap_.zero_byte() == 0) packed.corrections_.clear();
  return packed;
}

// The kernels' arithmetic wraps, and so do starts and corrections.
bool ByteDepthwise::pack_channel(const QuantizedLayer& layer, std::span<const Tap> slots,
                                 int64_t channel) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  const int64_t block = channel / kTileChannels, lane = depthwise_lane(channel % kTileChannels);
  const int64_t fits = ceil_div(quads_, quads_per_fit_);
  int32_t all = 0;
  for (int64_t slot = 0; slot < std::ssize(slots); ++slot) {
    const Tap& tap = slots[at(slot)];
    if (tap.channel < 0) continue;
    const int64_t from = workload.weight_index(channel, 0, tap.row, tap.col);
    const int32_t weight = layer.weights[at(from)] - layer.weight_zero_point(channel);
    if (weight != static_cast<int8_t>(weight)) return false;
    const int64_t quad = slot / 4;
    weights_[at(((block * quads_ + quad) * kTileChannels + lane) * 4 + slot % 4)] =
        static_cast<int8_t>(weight);
    const int64_t share = int64_t{-weight} * ifmap_.zero_byte();
    int32_t& fit = corrections_[at((block * fits + quad / quads_per_fit_) * kTileChannels + lane)];
    fit = wrapping_add(fit, share);
    all = wrapping_add(all, share);
  }
  if (mode_ == DepthwiseMode::kExact) start_[at(block * kTileChannels + lane)] = all;
  return true;
}

void ByteDepthwise::run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace,
                        TileSink& sink, LayerCensus* census) const {
  alignas(64) int32_t sums[kTilePixels * kTileChannels], low[kTilePixels * kTileChannels],
      high[kTilePixels * kTileChannels];
  const int64_t fits = ceil_div(quads_, quads_per_fit_);
  DepthwiseTile tile;
  tile.offsets = offsets_.data();
  tile.quads = quads_;
  tile.quads_per_fit = quads_per_fit_;
  tile.one_tap = one_tap_;
  tile.column_bytes = column_bytes_;
  tile.bits = bits_;
  tile.sums = sums;
  tile.low = low;
  tile.high = high;
  ifmap_.for_each(
      bytes, images, false, *kernels_, workspace, [&](const ByteIfmap::Windows& windows) {
        for (int64_t channel = 0; channel < channels_; channel += kTileChannels) {
          const int64_t block = channel / kTileChannels;
          const int64_t count = std::min(kTileChannels, channels_ - channel);
          tile.channel = channel;
          tile.weights = weights_.data() + block * quads_ * kTileChannels * 4;
          tile.start = start_.data() + channel;
          tile.last = last_.empty() ? nullptr : last_.data() + channel;
          tile.corrections =
              corrections_.empty() ? nullptr : corrections_.data() + block * fits * kTileChannels;
          if (mode_ == DepthwiseMode::kCensus) {
            TileCensus counted(*census, channel, count, *kernels_);
            run_pixels(tile, windows, channel, count, sink, &counted);
          } else {
            run_pixels(tile, windows, channel, count, sink, nullptr);
          }
        }
      });
}

void ByteDepthwise::run_pixels(DepthwiseTile& tile, const ByteIfmap::Windows& windows,
                               int64_t channel, int64_t channels, TileSink& sink,
                               TileCensus* counted) const {
  const int64_t pixels = std::ssize(windows.pixels);
  for (int64_t pixel = 0; pixel < pixels; pixel += tile.count) {
    tile.pixels = windows.pixels.data() + pixel;
    tile.count = std::min(kTilePixels, pixels - pixel);
    kernels_->depthwise(mode_, tile);
    if (counted != nullptr) counted->add(tile.count, tile.sums, tile.low, tile.high);
    sink.tile(channel, channels, windows.first_pixel + pixel, tile.count, tile.sums);
  }
}

}  // namespace widthwise
