// Image.resize of Pillow 9.4, written from the description of its algorithm: two separable
// passes over bytes, columns first, with the intermediate rounded to bytes. An output pixel is the
// weighted mean of the input pixels under a filter centred on it; when shrinking, the filter is as
// much wider as the image gets smaller (antialias). Weights are in double, normalised to 1 and
// rounded (half away from zero) to kWeightBits fractional bits; a sum is rounded half up and
// clamped to 0..255. Nearest takes the pixel under the output pixel's centre.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "models/image.h"

namespace widthwise {
namespace {

constexpr int kWeightBits = 22;  // 32 - 8 for the pixel - 2 for sign and overshoot

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

double cubic(double x) {  // Keys' kernel with a = -1/2
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// Output pixel i is the sum over k of weights[i * width + k] * input pixel first[i] + k.
struct Taps {
  size_t width = 0;
  std::vector<int64_t> first, count;
  std::vector<int32_t> weights;  // kWeightBits fractional bits
};

Taps make_taps(int64_t from, int64_t to, Interpolation interpolation) {
  const bool bicubic = interpolation == Interpolation::kBicubic;
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);
  const double radius = (bicubic ? 2.0 : 1.0) * stretch;  // input pixels
  Taps taps;
  taps.width = static_cast<size_t>(std::ceil(radius)) * 2 + 1;
  taps.weights.resize(taps.width * static_cast<size_t>(to));
  std::vector<double> weights(taps.width);
  for (int64_t i = 0; i < to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(center - radius + 0.5));
    const int64_t end = std::min(from, static_cast<int64_t>(center + radius + 0.5));
    double sum = 0;
    for (int64_t k = 0; k < end - first; ++k) {
      const double at = (static_cast<double>(k + first) - center + 0.5) * (1.0 / stretch);
      const double weight = bicubic ? cubic(at) : triangle(at);
      weights[static_cast<size_t>(k)] = weight;
      sum += weight;
    }
    for (int64_t k = 0; k < end - first; ++k) {
      double weight = weights[static_cast<size_t>(k)];
      if (sum != 0) weight /= sum;
      weight *= 1 << kWeightBits;
      taps.weights[static_cast<size_t>(i) * taps.width + static_cast<size_t>(k)] =
          static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    taps.first.push_back(first);
    taps.count.push_back(end - first);
  }
  return taps;
}

uint8_t round_sum(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// [rows, from] -> [rows, to], where rows are those of all planes.
std::vector<uint8_t> resize_cols(const std::vector<uint8_t>& pixels, int64_t from, int64_t to,
                                 Interpolation interpolation) {
  const Taps taps = make_taps(from, to, interpolation);
  const size_t rows = pixels.size() / static_cast<size_t>(from);
  std::vector<uint8_t> result;
  result.reserve(rows * static_cast<size_t>(to));
  for (size_t r = 0; r < rows; ++r) {
    const uint8_t* const row = pixels.data() + r * static_cast<size_t>(from);
    for (size_t i = 0; i < static_cast<size_t>(to); ++i) {
      const int32_t* const weights = taps.weights.data() + i * taps.width;
      int32_t sum = kHalf;
      for (int64_t k = 0; k < taps.count[i]; ++k) sum += weights[k] * row[taps.first[i] + k];
      result.push_back(round_sum(sum));
    }
  }
  return result;
}

// [planes, from, cols] -> [planes, to, cols]
std::vector<uint8_t> resize_rows(const std::vector<uint8_t>& pixels, int64_t from, int64_t cols,
                                 int64_t to, Interpolation interpolation) {
  const Taps taps = make_taps(from, to, interpolation);
  const size_t width = static_cast<size_t>(cols), plane = static_cast<size_t>(from) * width;
  std::vector<uint8_t> result;
  result.reserve(pixels.size() / plane * static_cast<size_t>(to) * width);
  std::vector<int32_t> sums(width);
  for (size_t start = 0; start < pixels.size(); start += plane) {
    for (size_t i = 0; i < static_cast<size_t>(to); ++i) {
      std::fill(sums.begin(), sums.end(), kHalf);
      for (int64_t k = 0; k < taps.count[i]; ++k) {
        const int32_t weight = taps.weights[i * taps.width + static_cast<size_t>(k)];
        const uint8_t* const row =
            pixels.data() + start + static_cast<size_t>(taps.first[i] + k) * width;
        for (size_t c = 0; c < width; ++c) sums[c] += weight * row[c];
      }
      std::transform(sums.begin(), sums.end(), std::back_inserter(result), round_sum);
    }
  }
  return result;
}

// The input pixel under the centre of each output pixel; the centres are added up in double, as
// Pillow does, so that ties fall the same way.
std::vector<size_t> nearest_pixels(int64_t from, int64_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  std::vector<size_t> pixels;
  double center = step * 0.5;
  for (int64_t i = 0; i < to; ++i, center += step) {
    pixels.push_back(static_cast<size_t>(std::min(static_cast<int64_t>(center), from - 1)));
  }
  return pixels;
}

std::vector<uint8_t> take_nearest(const Image& image, int64_t rows, int64_t cols) {
  const std::vector<size_t> row_of = nearest_pixels(image.rows, rows),
                            col_of = nearest_pixels(image.cols, cols);
  std::vector<uint8_t> result;
  result.reserve(static_cast<size_t>(image.channels) * row_of.size() * col_of.size());
  for (size_t plane = 0; plane < static_cast<size_t>(image.channels); ++plane) {
    for (const size_t r : row_of) {
      const uint8_t* const row =
          image.pixels.data() +
          (plane * static_cast<size_t>(image.rows) + r) * static_cast<size_t>(image.cols);
      for (const size_t c : col_of) result.push_back(row[c]);
    }
  }
  return result;
}

}  // namespace

Image resize_image(const Image& image, int64_t rows, int64_t cols, Interpolation interpolation) {
  if (rows < 1 || cols < 1 || rows > kMaxPixels / cols || image.pixels.empty())
    throw std::logic_error("resize_image: size out of range");
  if (rows == image.rows && cols == image.cols) return image;
  Image result{.channels = image.channels, .rows = rows, .cols = cols};
  if (interpolation == Interpolation::kNearest) {
    result.pixels = take_nearest(image, rows, cols);
    return result;
  }
  const std::vector<uint8_t>* from = &image.pixels;
  if (cols != image.cols) {
    result.pixels = resize_cols(*from, image.cols, cols, interpolation);
    from = &result.pixels;
  }
  if (rows != image.rows) result.pixels = resize_rows(*from, image.rows, cols, rows, interpolation);
  return result;
}

}  // namespace widthwise
