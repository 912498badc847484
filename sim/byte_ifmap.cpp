#include "sim/byte_ifmap.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "hwmodel/tiling.h"
#include "sim/code_tensor.h"
#include "sim/reference.h"

namespace widthwise {
namespace {

constexpr int64_t kCacheBytes = 512 << 10;  // of ifmaps that are worked on together
constexpr int64_t kPanelsBytes = 512 << 10;

}  // namespace

ByteIfmap::ByteIfmap(const MatmulWorkload& workload, int32_t zero_byte)
    : workload_(workload), zero_byte_(zero_byte) {
  const Window& w = workload_.window;
  padded_rows_ = std::max(w.pad_top + w.ifmap_rows, (w.ofmap_rows - 1) * w.stride_rows +
                                                        (w.kernel_rows - 1) * w.dilation_rows + 1);
  padded_cols_ = std::max(w.pad_left + w.ifmap_cols, (w.ofmap_cols - 1) * w.stride_cols +
                                                         (w.kernel_cols - 1) * w.dilation_cols + 1);
  padded_ = padded_rows_ != w.ifmap_rows || padded_cols_ != w.ifmap_cols;
  for (int64_t row = 0; row < w.ofmap_rows; ++row) {
    for (int64_t col = 0; col < w.ofmap_cols; ++col) {
      pixels_.push_back((row * w.stride_rows * padded_cols_ + col * w.stride_cols) *
                        w.ifmap_channels);
    }
  }
}

ByteIfmap ByteIfmap::windows(const MatmulWorkload& workload, int32_t zero_byte) {
  ByteIfmap made(workload, zero_byte);
  made.workload_.groups = 1;
  return made;
}

int32_t ByteIfmap::tap_offset(int64_t row, int64_t col) const {
  const Window& w = workload_.window;
  return static_cast<int32_t>((row * w.dilation_rows * padded_cols_ + col * w.dilation_cols) *
                              w.ifmap_channels);
}

// Where the columns of a window lie together and there is one group, a row of the window is one run
// of bytes.
ByteIfmap ByteIfmap::unordered(const MatmulWorkload& workload, int32_t zero_byte) {
  ByteIfmap made(workload, zero_byte);
  const Window& w = workload.window;
  const int64_t channels = workload.group_ifmap_channels();
  const bool whole_rows = w.dilation_cols == 1 && workload.groups == 1;
  const int64_t runs = whole_rows ? 1 : w.kernel_cols;
  const int64_t length = whole_rows ? w.kernel_cols * channels : channels;
  for (int64_t row = 0; row < w.kernel_rows; ++row) {
    for (int64_t run = 0; run < runs; ++run) {
      const int64_t begin =
          (row * w.dilation_rows * made.padded_cols_ + run * w.dilation_cols) * w.ifmap_channels;
      for (int64_t i = 0; i < ceil_div(length, 4) * 4; ++i) {
        if (i % 4 == 0) made.offsets_.push_back(static_cast<int32_t>(begin + i));
        made.slots_.push_back(i < length ? Slot{i % channels, row, run + i / channels} : Slot{});
      }
    }
  }
  return made;
}

ByteIfmap ByteIfmap::ordered(const MatmulWorkload& workload, int32_t zero_byte,
                             const Accumulation& accumulation) {
  ByteIfmap made(workload, zero_byte);
  const Window& w = workload.window;
  const int64_t lanes = accumulation.lanes();
  for (const Tap& tap : reduction_taps(workload, accumulation)) {
    made.slots_.push_back({tap.channel, tap.row, tap.col});
    const bool fitted = std::ssize(made.slots_) % (ceil_div(lanes, 4) * 4) == lanes;
    while (lanes > 1 && fitted && made.slots_.size() % 4 != 0) made.slots_.emplace_back();
  }
  while (made.slots_.size() % 4 != 0) made.slots_.emplace_back();

  const auto quads = static_cast<int64_t>(made.slots_.size() / 4);
  const auto address = [&](const Slot& slot) {
    return (slot.row * w.dilation_rows * made.padded_cols_ + slot.col * w.dilation_cols) *
               w.ifmap_channels +
           slot.channel;
  };
  for (size_t slot = 0; slot < made.slots_.size(); ++slot) {
    const Slot& first = made.slots_[slot / 4 * 4];
    const Slot& own = made.slots_[slot];
    made.direct_ =
        made.direct_ &&
        (own.channel < 0 || address(own) == address(first) + static_cast<int64_t>(slot % 4));
  }
  for (int64_t quad = 0; quad < quads; ++quad) {
    const int64_t at =
        made.direct_ ? address(made.slots_[static_cast<size_t>(quad * 4)]) : quad * 4;
    made.offsets_.push_back(static_cast<int32_t>(at));
  }
  // Whole blocks are read, of which those past the end meet weights of 0.
  while (made.offsets_.size() % kBlockQuads != 0) {
    made.offsets_.push_back(made.direct_ ? made.offsets_.back() : made.offsets_.back() + 4);
  }
  if (!made.direct_) made.make_panels();
  return made;
}

bool ByteIfmap::blocks_lie_together(int64_t block) const {
  for (int64_t quad = 0; quad < quads(); ++quad) {
    const auto first = static_cast<size_t>(quad / block * block), own = static_cast<size_t>(quad);
    if (offsets_[own] - offsets_[first] != static_cast<int32_t>(own - first) * 4) return false;
  }
  return true;
}

void ByteIfmap::make_panels() {
  const Window& w = workload_.window;
  const int64_t plane = padded_rows_ * padded_cols_;
  for (const Slot& slot : slots_) {
    planes_offsets_.push_back(slot.channel < 0 ? 0
                                               : slot.channel * plane +
                                                     slot.row * w.dilation_rows * padded_cols_ +
                                                     slot.col * w.dilation_cols);
  }
  // Whole rows if several go into a panel, else equal parts of a row.
  const int64_t rows = std::max<int64_t>(1, kPanelPixels / w.ofmap_cols);
  const int64_t parts = ceil_div(w.ofmap_cols, kPanelPixels);
  const int64_t longest = (kPanelPixels - 1) / w.stride_cols + 1;  // run within one vector's bytes
  for (int64_t row = 0; row < w.ofmap_rows; row += rows) {
    const int64_t own_rows = std::min(rows, w.ofmap_rows - row);
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t begin = w.ofmap_cols * part / parts, end = w.ofmap_cols * (part + 1) / parts;
      Panel panel{row * w.ofmap_cols + begin, own_rows * (end - begin), {}};
      int64_t lane = 0;
      for (int64_t r = row; r < row + own_rows; ++r) {
        for (int64_t col = begin; col < end;) {
          const int64_t length = std::min(longest, end - col);
          PanelRun run;
          run.offset = r * w.stride_rows * padded_cols_ + col * w.stride_cols;
          for (int64_t i = 0; i < kPanelPixels; ++i) {
            const int64_t pixel = i - lane;
            const bool own = pixel >= 0 && pixel < length;
            run.shuffle[i] = static_cast<uint8_t>(own ? pixel * w.stride_cols : 0x80);
          }
          panel.runs.push_back(run);
          lane += length;
          col += length;
        }
      }
      if (panel.runs.size() == 1 && w.stride_cols == 1) panel.runs[0].as_it_lies = true;
      panels_.push_back(panel);
    }
  }
}

int64_t ByteIfmap::images_together() const {
  return std::max<int64_t>(
      1, kCacheBytes / (padded_rows_ * padded_cols_ * workload_.window.ifmap_channels));
}

// The ifmap with its pads, and what is made of it: [images, padded rows, padded cols, ic].
void ByteIfmap::prepare(std::span<const uint8_t> bytes, int64_t first_image, int64_t images,
                        bool magnitudes, const ByteKernelTable& kernels,
                        Workspace& workspace) const {
  const Window& w = workload_.window;
  const uint8_t* from = bytes.data() + first_image * w.ifmap_elements();
  const int64_t image_bytes = padded_rows_ * padded_cols_ * w.ifmap_channels;
  const auto size = static_cast<size_t>(images * image_bytes);
  workspace.ifmap = from;
  if (padded_) {
    const auto row_bytes = static_cast<size_t>(padded_cols_ * w.ifmap_channels);
    const auto own = static_cast<size_t>(w.ifmap_cols * w.ifmap_channels);
    const auto left = static_cast<size_t>(w.pad_left * w.ifmap_channels);
    workspace.padded_bytes.resize(size + CodeTensor::kByteSlack);
    uint8_t* to = workspace.padded_bytes.data();
    for (int64_t image = 0; image < images; ++image) {
      for (int64_t row = -w.pad_top; row < padded_rows_ - w.pad_top; ++row, to += row_bytes) {
        if (row < 0 || row >= w.ifmap_rows) {
          std::memset(to, zero_byte_, row_bytes);
          continue;
        }
        std::memset(to, zero_byte_, left);
        std::memcpy(to + left, from + static_cast<size_t>(image * w.ifmap_rows + row) * own, own);
        std::memset(to + left + own, zero_byte_, row_bytes - left - own);
      }
    }
    workspace.ifmap = workspace.padded_bytes.data();
  }
  const auto to_planes = [&](const uint8_t* source, std::vector<uint8_t>& planes) {
    planes.resize(size + CodeTensor::kByteSlack);
    for (int64_t image = 0; image < images; ++image) {
      kernels.transpose(source + image * image_bytes, padded_rows_ * padded_cols_, w.ifmap_channels,
                        planes.data() + image * image_bytes);
    }
  };
  if (!direct_) to_planes(workspace.ifmap, workspace.byte_planes);
  if (!magnitudes || zero_byte_ == 0) return;
  workspace.magnitudes.resize(size + CodeTensor::kByteSlack);
  for (size_t i = 0; i < size; ++i) {
    workspace.magnitudes[i] = static_cast<uint8_t>(std::abs(workspace.ifmap[i] - zero_byte_));
  }
  if (!direct_) to_planes(workspace.magnitudes.data(), workspace.magnitude_planes);
}

// Opens windows of pixels [first, the result), at most up to `end`.
int64_t ByteIfmap::open_windows(int64_t group, int64_t first, int64_t end, bool magnitudes,
                                const ByteKernelTable& kernels, Workspace& workspace) const {
  const Window& w = workload_.window;
  auto& pixels = workspace.window_pixels;
  auto& others = workspace.window_magnitudes;
  const bool apart = magnitudes && zero_byte_ != 0;  // else a byte is its own magnitude
  if (!direct_) {
    const int64_t reached =
        copy_panels(group, first, end, kernels, workspace.byte_planes, workspace.panels, pixels);
    if (apart) {
      copy_panels(group, first, end, kernels, workspace.magnitude_planes,
                  workspace.magnitude_panels, others);
    } else {
      others = pixels;
    }
    return reached;
  }
  const int64_t image_bytes = padded_rows_ * padded_cols_ * w.ifmap_channels;
  const uint8_t* begin = workspace.ifmap + group * workload_.group_ifmap_channels();
  pixels.clear();
  for (int64_t pixel = first; pixel < end;) {
    const int64_t image = pixel / w.ofmap_pixels(), inside = pixel % w.ofmap_pixels();
    const int64_t count = std::min(end - pixel, w.ofmap_pixels() - inside);
    for (int64_t i = inside; i < inside + count; ++i)
      pixels.push_back(begin + image * image_bytes + pixels_[static_cast<size_t>(i)]);
    pixel += count;
  }
  others = pixels;
  if (apart) {
    for (const uint8_t*& pixel : others)
      pixel = workspace.magnitudes.data() + (pixel - workspace.ifmap);
  }
  return end;
}

int64_t ByteIfmap::copy_panels(int64_t group, int64_t first, int64_t end,
                               const ByteKernelTable& kernels, const std::vector<uint8_t>& planes,
                               AlignedVector<uint8_t>& panels,
                               std::vector<const uint8_t*>& pixels) const {
  const Window& w = workload_.window;
  const int64_t pixel_bytes = ceil_div(quads(), 16) * 64;
  const int64_t panel_bytes = pixel_bytes * kPanelPixels;
  const int64_t most = std::max<int64_t>(1, kPanelsBytes / panel_bytes);  // panels
  const int64_t image_bytes = padded_rows_ * padded_cols_ * w.ifmap_channels;
  panels.resize(static_cast<size_t>(most * panel_bytes));
  pixels.clear();
  int64_t pixel = first;
  for (int64_t made = 0; made < most && pixel < end; ++made) {
    const int64_t image = pixel / w.ofmap_pixels(), inside = pixel % w.ofmap_pixels();
    const auto panel = std::partition_point(panels_.begin(), panels_.end(),
                                            [&](const Panel& p) { return p.first_pixel < inside; });
    CopyPanelJob job;
    job.planes = planes.data() + image * image_bytes +
                 group * workload_.group_ifmap_channels() * padded_rows_ * padded_cols_;
    job.offsets = planes_offsets_.data();
    job.quads = quads();
    job.runs = panel->runs.data();
    job.run_count = std::ssize(panel->runs);
    job.panel = panels.data() + made * panel_bytes;
    job.stride = pixel_bytes;
    kernels.copy_panel(job);
    for (int64_t i = 0; i < panel->count; ++i) pixels.push_back(job.panel + i * pixel_bytes);
    pixel += panel->count;
  }
  return pixel;
}

}  // namespace widthwise
