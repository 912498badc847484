// PNG by libpng. Gamma, colour profiles and backgrounds are not applied, as in Pillow.
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "core/error.h"
#include "models/image_codec.h"

namespace widthwise {
namespace {

struct Source {
  std::string_view rest;
  std::string message;
};

void read_bytes(png_structp png, png_bytep to, size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (source->rest.size() < count) png_error(png, "it ends early");
  std::memcpy(to, source->rest.data(), count);
  source->rest.remove_prefix(count);
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  static_cast<Source*>(png_get_error_ptr(png))->message = message;
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}  // of chunks that do not change the pixels

// The two steps return false after an error. libpng leaves them by longjmp, so nothing in them may
// need a destructor.
bool read_info(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_info(png, info);
  const int type = png_get_color_type(png, info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  png_set_interlace_handling(png);
  return true;
}
bool read_pixels(png_structp png, png_infop info, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_image(png, rows);
  png_read_end(png, info);
  return true;
}
bool update_info(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_update_info(png, info);
  return true;
}

}  // namespace

DecodedImage decode_png(std::string_view bytes, const std::string& file) {
  const auto refuse = [&](const std::string& problem) {
    throw InputError({.file = file,
                      .where = "",
                      .field = "",
                      .problem = problem,
                      .fix = "copy the file again, convert it to 8-bit RGB or grey, or remove it"});
  };
  Source source{.rest = bytes, .message = ""};
  struct Guard {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~Guard() { png_destroy_read_struct(&png, &info, nullptr); }
  } guard;
  guard.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_error, on_warning);
  if (guard.png == nullptr) throw std::bad_alloc();
  guard.info = png_create_info_struct(guard.png);
  if (guard.info == nullptr) throw std::bad_alloc();
  png_set_read_fn(guard.png, &source, read_bytes);
  png_set_user_limits(guard.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_image_size has ours
  if (!read_info(guard.png, guard.info)) refuse("is a damaged PNG: " + source.message);

  DecodedImage image{.rows = png_get_image_height(guard.png, guard.info),
                     .cols = png_get_image_width(guard.png, guard.info)};
  check_image_size(image.rows, image.cols, file);
  if (png_get_color_type(guard.png, guard.info) == PNG_COLOR_TYPE_GRAY &&
      png_get_bit_depth(guard.png, guard.info) == 16)
    refuse("is a PNG of 16-bit grey, allowed are 8 bits and less");
  // A byte of the file can become 1032 bytes at most: a small file that claims to be a large image
  // does not take the memory.
  const auto stored = static_cast<int64_t>(png_get_rowbytes(guard.png, guard.info)) * image.rows;
  if (stored / 1032 > static_cast<int64_t>(bytes.size()))
    refuse("is a truncated or damaged PNG: it is too short for its size");
  if (!update_info(guard.png, guard.info)) refuse("is a damaged PNG: " + source.message);

  image.samples = png_get_channels(guard.png, guard.info);
  const size_t stride = png_get_rowbytes(guard.png, guard.info);
  image.bytes.resize(stride * static_cast<size_t>(image.rows));
  std::vector<png_bytep> rows;
  for (int64_t r = 0; r < image.rows; ++r)
    rows.push_back(image.bytes.data() + static_cast<size_t>(r) * stride);
  if (!read_pixels(guard.png, guard.info, rows.data()))
    refuse("is a damaged or truncated PNG: " + source.message);
  return image;
}

}  // namespace widthwise
