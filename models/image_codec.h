#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

// An image as its file stores it: bytes [rows, cols, samples], interleaved. samples: 1 grey, 2 grey
// and alpha, 3 RGB, 4 RGB and alpha or, from a JPEG, CMYK as Adobe stores it (255 is no ink).
struct DecodedImage {
  int64_t rows = 0, cols = 0, samples = 0;
  bool cmyk = false;
  std::vector<uint8_t> bytes = {};
};

constexpr int64_t kMaxSide = int64_t{1} << 16;  // pixels

// Throws InputError for sizes above kMaxSide and kMaxPixels and for 0.
void check_image_size(int64_t rows, int64_t cols, const std::string& file);

// A whole file. Both throw InputError, see decode_image.
DecodedImage decode_jpeg(std::string_view bytes, const std::string& file);
DecodedImage decode_png(std::string_view bytes, const std::string& file);

}  // namespace widthwise
