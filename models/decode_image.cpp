#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "core/error.h"
#include "models/image.h"
#include "models/image_codec.h"

namespace widthwise {
namespace {

struct Rgb {
  int r = 0, g = 0, b = 0;  // 0..255
};

// a * b / 255, rounded as Pillow rounds it.
int scaled_by_255(int a, int b) {
  const int product = a * b + 128;
  return (product + (product >> 8)) >> 8;
}

Rgb rgb_of(const uint8_t* pixel, const DecodedImage& image) {
  if (image.samples <= 2) return {pixel[0], pixel[0], pixel[0]};
  if (!image.cmyk) return {pixel[0], pixel[1], pixel[2]};
  const int white = pixel[3];  // 255 - K
  const auto without = [&](int stored) {
    return std::max(0, white - scaled_by_255(255 - stored, white));
  };
  return {without(pixel[0]), without(pixel[1]), without(pixel[2])};
}

uint8_t luma(const Rgb& c) {
  return static_cast<uint8_t>((c.r * 19595 + c.g * 38470 + c.b * 7471 + 0x8000) >> 16);
}

}  // namespace

void check_image_size(int64_t rows, int64_t cols, const std::string& file) {
  if (rows >= 1 && cols >= 1 && rows <= kMaxSide && cols <= kMaxSide && rows <= kMaxPixels / cols)
    return;
  throw InputError(
      {.file = file,
       .where = "",
       .field = "size",
       .problem = fmt::format("is {} x {} pixels, allowed up to {} a side and {} in all", cols,
                              rows, kMaxSide, kMaxPixels),
       .fix = "make the image smaller, or remove it"});
}

Image decode_image(std::string_view bytes, const std::string& file, int64_t channels) {
  if (channels != 1 && channels != 3)
    throw std::logic_error("decode_image: channels are neither 1 nor 3");
  constexpr std::string_view kJpeg = "\xff\xd8\xff", kPng = "\x89PNG\r\n\x1a\n";
  if (!bytes.starts_with(kJpeg) && !bytes.starts_with(kPng)) {
    throw InputError({.file = file,
                      .where = "",
                      .field = "",
                      .problem = bytes.empty() ? "is empty" : "is neither JPEG nor PNG",
                      .fix = "convert it to one of these, or remove it"});
  }
  const DecodedImage decoded =
      bytes.starts_with(kJpeg) ? decode_jpeg(bytes, file) : decode_png(bytes, file);
  Image image{.channels = channels, .rows = decoded.rows, .cols = decoded.cols};
  const auto plane = static_cast<size_t>(image.rows * image.cols);
  image.pixels.resize(plane * static_cast<size_t>(channels));
  const bool grey = decoded.samples <= 2;
  for (size_t i = 0; i < plane; ++i) {
    const uint8_t* const pixel = decoded.bytes.data() + i * static_cast<size_t>(decoded.samples);
    const Rgb color = rgb_of(pixel, decoded);
    if (channels == 1) {
      image.pixels[i] = grey ? pixel[0] : luma(color);
    } else {
      image.pixels[i] = static_cast<uint8_t>(color.r);
      image.pixels[plane + i] = static_cast<uint8_t>(color.g);
      image.pixels[2 * plane + i] = static_cast<uint8_t>(color.b);
    }
  }
  return image;
}

}  // namespace widthwise
