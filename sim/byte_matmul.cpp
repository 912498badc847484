#include "sim/byte_matmul.h"

#include <algorithm>
#include <cstring>

#include "sim/code_tensor.h"

namespace widthwise {
namespace {

constexpr int64_t kLeastGroupChannels = 8;
constexpr int64_t kCacheBytes = 512 << 10;  // of ifmaps that are worked on together

int64_t ceil_div(int64_t value, int64_t by) { return (value + by - 1) / by; }

}  // namespace

std::optional<ByteMatmul> ByteMatmul::pack(const QuantizedLayer& layer,
                                           const TensorQuantization& ifmap,
                                           const KernelTable& kernels) {
  const auto& workload = std::get<MatmulWorkload>(layer.workload);
  if (kernels.bytes == nullptr || !CodeTensor::fits_bytes(ifmap.format)) return std::nullopt;
  if (workload.groups > 1 && workload.group_ofmap_channels() < kLeastGroupChannels)
    return std::nullopt;
  if (!sums_fit_int32(layer, ifmap)) return std::nullopt;

  ByteMatmul packed;
  packed.workload_ = workload;
  packed.kernels_ = kernels.bytes;
  packed.zero_byte_ = ifmap.zero_point + CodeTensor::byte_offset(ifmap.format);
  packed.make_offsets();
  if (!packed.pack_weights(layer)) return std::nullopt;
  return packed;
}

// The sums are exact, so their order is free: that of the bytes. Where the columns of a window lie
// together and there is one group, a row of the window is one run of bytes.
void ByteMatmul::make_offsets() {
  const Window& w = workload_.window;
  padded_rows_ = std::max(w.pad_top + w.ifmap_rows, (w.ofmap_rows - 1) * w.stride_rows +
                                                        (w.kernel_rows - 1) * w.dilation_rows + 1);
  padded_cols_ = std::max(w.pad_left + w.ifmap_cols, (w.ofmap_cols - 1) * w.stride_cols +
                                                         (w.kernel_cols - 1) * w.dilation_cols + 1);
  padded_ = padded_rows_ != w.ifmap_rows || padded_cols_ != w.ifmap_cols;
  const int64_t channels = workload_.group_ifmap_channels();
  const bool whole_rows = w.dilation_cols == 1 && workload_.groups == 1;
  const int64_t runs = whole_rows ? 1 : w.kernel_cols;
  const int64_t length = whole_rows ? w.kernel_cols * channels : channels;
  for (int64_t row = 0; row < w.kernel_rows; ++row) {
    for (int64_t run = 0; run < runs; ++run) {
      const int64_t begin =
          (row * w.dilation_rows * padded_cols_ + run * w.dilation_cols) * w.ifmap_channels;
      for (int64_t i = 0; i < ceil_div(length, 4) * 4; ++i) {
        if (i % 4 == 0) offsets_.push_back(static_cast<int32_t>(begin + i));
        slots_.push_back(i < length ? Slot{i % channels, row, run + i / channels} : Slot{});
      }
    }
  }
  for (int64_t row = 0; row < w.ofmap_rows; ++row) {
    for (int64_t col = 0; col < w.ofmap_cols; ++col) {
      pixels_.push_back((row * w.stride_rows * padded_cols_ + col * w.stride_cols) *
                        w.ifmap_channels);
    }
  }
}

bool ByteMatmul::pack_weights(const QuantizedLayer& layer) {
  const Window& w = workload_.window;
  const int64_t channels = workload_.group_ofmap_channels(), quads = std::ssize(offsets_);
  for (int64_t group = 0; group < workload_.groups; ++group) {
    for (int64_t first = 0; first < channels; first += kTileChannels) {
      const int64_t count = std::min(kTileChannels, channels - first);
      const int64_t vectors = ceil_div(count, kLaneChannels);
      const auto begin = weights_.size();
      blocks_.push_back(static_cast<int64_t>(begin));
      weights_.resize(begin + static_cast<size_t>(quads * vectors * 64), 0);
      start_.resize(start_.size() + kTileChannels, 0);
      for (int64_t c = 0; c < count; ++c) {
        const int64_t oc = group * channels + first + c;
        const int32_t zero_point = layer.weight_zero_point(oc);
        int32_t sum = 0;
        for (size_t slot = 0; slot < slots_.size(); ++slot) {
          const Slot& s = slots_[slot];
          if (s.channel < 0) continue;
          const int64_t at =
              ((oc * workload_.group_ifmap_channels() + s.channel) * w.kernel_rows + s.row) *
                  w.kernel_cols +
              s.col;
          const int32_t weight = layer.weights[static_cast<size_t>(at)] - zero_point;
          if (weight != static_cast<int8_t>(weight)) return false;
          sum += weight;
          const auto quad = static_cast<int64_t>(slot / 4);
          weights_[begin + static_cast<size_t>((quad * vectors * kLaneChannels + c) * 4) +
                   slot % 4] = static_cast<int8_t>(weight);
        }
        // In the kernel's arithmetic, which wraps.
        start_[start_.size() - kTileChannels + static_cast<size_t>(c)] =
            static_cast<int32_t>(static_cast<uint32_t>(layer.bias[static_cast<size_t>(oc)]) -
                                 static_cast<uint32_t>(sum) * static_cast<uint32_t>(zero_byte_));
      }
    }
  }
  return true;
}

const uint8_t* ByteMatmul::pad(std::span<const uint8_t> bytes, int64_t images,
                               std::vector<uint8_t>& padded) const {
  if (!padded_) return bytes.data();
  const Window& w = workload_.window;
  const auto row_bytes = static_cast<size_t>(padded_cols_ * w.ifmap_channels);
  const auto own =
      static_cast<size_t>(std::min(w.ifmap_cols, padded_cols_ - w.pad_left) * w.ifmap_channels);
  const auto left = static_cast<size_t>(w.pad_left * w.ifmap_channels);
  padded.resize(static_cast<size_t>(images * padded_rows_) * row_bytes + CodeTensor::kByteSlack);
  uint8_t* to = padded.data();
  for (int64_t image = 0; image < images; ++image) {
    for (int64_t row = -w.pad_top; row < padded_rows_ - w.pad_top; ++row, to += row_bytes) {
      if (row < 0 || row >= w.ifmap_rows) {
        std::memset(to, zero_byte_, row_bytes);
        continue;
      }
      const uint8_t* from =
          bytes.data() + (image * w.ifmap_rows + row) * w.ifmap_cols * w.ifmap_channels;
      std::memset(to, zero_byte_, left);
      std::memcpy(to + left, from, own);
      std::memset(to + left + own, zero_byte_, row_bytes - left - own);
    }
  }
  return padded.data();
}

void ByteMatmul::run(std::span<const uint8_t> bytes, int64_t images, Workspace& workspace,
                     TileSink& sink) const {
  const Window& w = workload_.window;
  const int64_t padded_bytes = padded_rows_ * padded_cols_ * w.ifmap_channels;
  const int64_t together = std::max<int64_t>(1, kCacheBytes / padded_bytes);
  for (int64_t first = 0; first < images; first += together) {
    const int64_t count = std::min(together, images - first);
    const auto part = bytes.subspan(static_cast<size_t>(first * w.ifmap_elements()),
                                    static_cast<size_t>(count * w.ifmap_elements()));
    run_images(pad(part, count, workspace.padded_bytes), first, count, sink);
  }
}

void ByteMatmul::run_images(const uint8_t* ifmap, int64_t first_image, int64_t images,
                            TileSink& sink) const {
  const Window& w = workload_.window;
  const int64_t image_bytes = padded_rows_ * padded_cols_ * w.ifmap_channels;
  const int64_t image_pixels = w.ofmap_pixels(), pixels = images * image_pixels;
  const int64_t tiles = ceil_div(pixels, kTilePixels);
  const int64_t channels = workload_.group_ofmap_channels();
  alignas(64) int32_t sums[kTilePixels * kTileChannels];
  ByteTile tile;
  tile.offsets = offsets_.data();
  tile.quads = std::ssize(offsets_);
  tile.sums = sums;
  size_t block = 0;
  for (int64_t group = 0; group < workload_.groups; ++group) {
    for (int64_t channel = 0; channel < channels; channel += kTileChannels, ++block) {
      const int64_t count = std::min(kTileChannels, channels - channel);
      tile.vectors = ceil_div(count, kLaneChannels);
      tile.weights = weights_.data() + blocks_[block];
      tile.start = start_.data() + block * kTileChannels;
      const uint8_t* image = ifmap + group * workload_.group_ifmap_channels();
      int64_t inside = 0;                               // pixel of the image
      for (int64_t t = 0, pixel = 0; t < tiles; ++t) {  // of equal size, or one less
        const int64_t end = pixels * (t + 1) / tiles;
        tile.count = end - pixel;
        for (int64_t p = 0; p < tile.count; ++p) {
          tile.pixels[p] = image + pixels_[static_cast<size_t>(inside)];
          if (++inside == image_pixels) {
            inside = 0;
            image += image_bytes;
          }
        }
        kernels_->exact(tile);
        sink.tile(group * channels + channel, count, first_image * image_pixels + pixel, tile.count,
                  sums);
        pixel = end;
      }
    }
  }
}

}  // namespace widthwise
