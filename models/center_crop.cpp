#include <algorithm>
#include <stdexcept>

#include "models/image.h"

namespace widthwise {
namespace {

// Where `wanted` pixels come from on an axis of `have`: output `to` onwards holds input `from`
// onwards, `count` of them.
struct Window {
  int64_t from = 0, to = 0, count = 0;
};

Window center_window(int64_t have, int64_t wanted) {
  const int64_t extra = have - wanted;
  if (extra <= 0) return {.from = 0, .to = -extra / 2, .count = have};
  int64_t from = extra / 2;
  if (extra % 2 == 1 && from % 2 == 1) ++from;  // Python's round: a half goes to the even number
  return {.from = from, .to = 0, .count = wanted};
}

}  // namespace

Image center_crop(const Image& image, int64_t rows, int64_t cols) {
  if (rows < 1 || cols < 1 || rows > kMaxPixels / cols)
    throw std::logic_error("center_crop: size out of range");
  const Window row = center_window(image.rows, rows), col = center_window(image.cols, cols);
  Image result{.channels = image.channels, .rows = rows, .cols = cols};
  result.pixels.resize(static_cast<size_t>(image.channels * rows * cols), 0);
  for (int64_t plane = 0; plane < image.channels; ++plane) {
    for (int64_t r = 0; r < row.count; ++r) {
      const int64_t from = (plane * image.rows + row.from + r) * image.cols + col.from;
      const int64_t to = (plane * rows + row.to + r) * cols + col.to;
      std::copy_n(image.pixels.data() + from, col.count, result.pixels.data() + to);
    }
  }
  return result;
}

}  // namespace widthwise
