#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/accumulation.h"
#include "core/workload.h"
#include "sim/byte_kernel.h"
#include "sim/packed_matmul.h"

namespace widthwise {

// How the byte kernels read a layer's ifmap: which four products make a quad, and where its bytes
// are. They are read where they lie if every quad's bytes lie together; else windows are copied
// out first, a quad's four bytes beside each other.
class ByteIfmap {
 public:
  // Which weight a quad's byte meets; channel < 0: none, whatever the byte is.
  struct Slot {
    int64_t channel = -1, row = 0, col = 0;  // of the group, of the kernel
  };

  // The order is free: that of the bytes.
  static ByteIfmap unordered(const MatmulWorkload& workload, int32_t zero_byte);
  // In the order of reduction, every `accumulation.lanes()` products filled up to whole quads (a
  // chain's products are not).
  static ByteIfmap ordered(const MatmulWorkload& workload, int32_t zero_byte,
                           const Accumulation& accumulation);

  // Windows alone, of all channels whatever their groups: where they begin, and where in them a tap
  // of channel 0 is.
  static ByteIfmap windows(const MatmulWorkload& workload, int32_t zero_byte);
  int32_t tap_offset(int64_t row, int64_t col) const;

  int64_t quads() const { return std::ssize(slots_) / 4; }
  // Whether each `quads` quads' bytes lie together, from the first on.
  bool blocks_lie_together(int64_t quads) const;
  std::span<const Slot> slots() const { return slots_; }      // [quads][4]
  const int32_t* offsets() const { return offsets_.data(); }  // [quads]
  int32_t zero_byte() const { return zero_byte_; }

  // Pixels of some images whose windows can be read: pixels[i] + offsets()[q] is pixel
  // first_pixel + i's quad q. magnitudes: the same of |byte - zero byte|, if asked for.
  struct Windows {
    int64_t group = 0, first_pixel = 0;  // pixels count over images, then rows, then columns
    std::span<const uint8_t*const> pixels, magnitudes;
  };
  // Calls visit(Windows) until every group's pixels were visited. bytes: [images, rows, cols, ic].
  template <class Visit>
  void for_each(std::span<const uint8_t> bytes, int64_t images, bool magnitudes,
                const ByteKernelTable& kernels, Workspace& workspace, Visit&& visit) const {
    const int64_t together = images_together();
    for (int64_t first = 0; first < images; first += together) {
      const int64_t count = std::min(together, images - first);
      prepare(bytes, first, count, magnitudes, kernels, workspace);
      for (int64_t group = 0; group < workload_.groups; ++group) {
        const int64_t pixels = count * workload_.window.ofmap_pixels();
        for (int64_t pixel = 0; pixel < pixels;) {
          const int64_t end = open_windows(group, pixel, pixels, magnitudes, kernels, workspace);
          visit(Windows{group, first * workload_.window.ofmap_pixels() + pixel,
                        workspace.window_pixels, workspace.window_magnitudes});
          pixel = end;
        }
      }
    }
  }

 private:
  // Pixels that are copied out together, into one vector of quads.
  struct Panel {
    int64_t first_pixel = 0, count = 0;  // of one image
    std::vector<PanelRun> runs;
  };

  ByteIfmap(const MatmulWorkload& workload, int32_t zero_byte);
  void make_panels();
  int64_t images_together() const;
  void prepare(std::span<const uint8_t> bytes, int64_t first_image, int64_t images, bool magnitudes,
               const ByteKernelTable& kernels, Workspace& workspace) const;
  int64_t open_windows(int64_t group, int64_t first, int64_t end, bool magnitudes,
                       const ByteKernelTable& kernels, Workspace& workspace) const;
  int64_t copy_panels(int64_t group, int64_t first, int64_t end, const ByteKernelTable& kernels,
                      const std::vector<uint8_t>& planes, AlignedVector<uint8_t>& panels,
                      std::vector<const uint8_t*>& pixels) const;

  MatmulWorkload workload_;
  int32_t zero_byte_ = 0;
  int64_t padded_rows_ = 0, padded_cols_ = 0;
  bool padded_ = false;  // windows leave the ifmap, or end before it does
  bool direct_ = true;   // read where they lie
  std::vector<Slot> slots_;
  std::vector<int32_t> offsets_;
  std::vector<int64_t> pixels_;  // [ofmap pixels]: where a window begins in an image, if direct
  std::vector<int64_t> planes_offsets_;  // [quads][4], if not direct: of a group's planes
  std::vector<Panel> panels_;            // of one image, if not direct
};

}  // namespace widthwise
