#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

// One image of unsigned bytes, plane by plane: [channels, rows, cols].
struct Image {
  int64_t channels = 0, rows = 0, cols = 0;
  std::vector<uint8_t> pixels = {};
};

// Of a decoded, resized or cropped image; 192 MiB as RGB.
constexpr int64_t kMaxPixels = int64_t{1} << 26;

// A whole JPEG or PNG file, told apart by its first bytes, with 1 channel or 3 as Pillow's
// convert('L') or convert('RGB') gives them: palettes are looked up, alpha is dropped, grey is
// repeated, L = (19595 R + 38470 G + 7471 B + 2^15) / 2^16, CMYK is Adobe's inverted one, and of
// 16-bit colour the high byte is kept. Orientation tags and colour profiles are not applied. Throws
// InputError with `file` for other formats, damaged or truncated files, 16-bit grey PNG (Pillow's
// conversion clips it at 255) and more than kMaxPixels. Safe to call from several threads.
Image decode_image(std::string_view bytes, const std::string& file, int64_t channels);

enum class Interpolation { kNearest, kBilinear, kBicubic };

// Pillow's Image.resize, bit for bit; see models/resample.cpp.
Image resize_image(const Image& image, int64_t rows, int64_t cols, Interpolation interpolation);

// torchvision's center_crop: what lacks is padded with 0 (the odd row or column at the end); the
// offset of the window is half the difference, rounded half to even.
Image center_crop(const Image& image, int64_t rows, int64_t cols);

}  // namespace widthwise
