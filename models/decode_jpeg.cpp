// JPEG by libjpeg with its defaults, which are Pillow's: slow integer DCT, smooth chroma.
// clang-format off
#include <cstdio>  // jpeglib.h uses it
#include <jpeglib.h>
#include <jerror.h>  // uses jpeglib.h
// clang-format on

#include <csetjmp>

#include "core/error.h"
#include "models/image_codec.h"

namespace widthwise {
namespace {

constexpr int kMaxScans =
    500;  // a progressive file has about ten; each costs a pass over the image

struct ErrorManager {
  jpeg_error_mgr base = {};  // first: libjpeg hands out a pointer to it
  std::jmp_buf escape = {};
  char message[JMSG_LENGTH_MAX] = {};
};

[[noreturn]] void fail(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  errors->base.format_message(info, errors->message);
  std::longjmp(errors->escape, 1);
}

// Warnings (level -1) mean lost pixels, except these, which concern bytes between the parts.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR)
    fail(info);
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMaxScans);
  std::longjmp(errors->escape, 1);
}

// The two steps return false after an error. libjpeg leaves them by longjmp, so nothing in them
// may need a destructor.
bool read_header(jpeg_decompress_struct& info, ErrorManager& errors, std::string_view bytes) {
  if (setjmp(errors.escape) != 0) return false;
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&info, TRUE);
  return true;
}

bool read_pixels(jpeg_decompress_struct& info, ErrorManager& errors, uint8_t* to, size_t stride) {
  if (setjmp(errors.escape) != 0) return false;
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = to + info.output_scanline * stride;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  return true;
}

}  // namespace

DecodedImage decode_jpeg(std::string_view bytes, const std::string& file) {
  ErrorManager errors;
  jpeg_decompress_struct info = {};
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = fail;
  errors.base.emit_message = on_message;
  jpeg_progress_mgr progress = {};
  progress.progress_monitor = on_progress;
  struct Guard {
    jpeg_decompress_struct& info;
    ~Guard() { jpeg_destroy_decompress(&info); }
  } const guard{info};
  const auto refuse = [&](const std::string& problem) {
    throw InputError({.file = file,
                      .where = "",
                      .field = "",
                      .problem = problem,
                      .fix = "copy the file again, convert it to an RGB image, or remove it"});
  };
  jpeg_create_decompress(&info);
  info.progress = &progress;
  if (!read_header(info, errors, bytes))
    refuse(std::string("is a damaged JPEG: ") + errors.message);
  check_image_size(info.image_height, info.image_width, file);
  DecodedImage image{.rows = info.image_height, .cols = info.image_width};
  switch (info.num_components) {
    case 1:
      info.out_color_space = JCS_GRAYSCALE;
      break;
    case 3:
      info.out_color_space = JCS_RGB;
      break;
    case 4:
      info.out_color_space = JCS_CMYK;
      image.cmyk = true;
      break;
    default:
      refuse("is a JPEG of " + std::to_string(info.num_components) +
             " components, allowed 1 (grey), 3 (colour), 4 (CMYK)");
  }
  image.samples = info.num_components;
  const auto stride = static_cast<size_t>(image.cols * image.samples);
  image.bytes.resize(stride * static_cast<size_t>(image.rows));
  if (!read_pixels(info, errors, image.bytes.data(), stride))
    refuse(std::string("is a damaged or truncated JPEG: ") + errors.message);
  return image;
}

}  // namespace widthwise
