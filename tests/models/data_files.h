#pragma once
// clang-format off
#include <cstdio>  // jpeglib.h uses it
#include <jpeglib.h>
// clang-format on
#include <png.h>
#include <zip.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "models/network.h"
#include "tests/models/compare.h"
#include "tests/models/temp_folder.h"

namespace widthwise {

// Samples are [rows, cols, samples of the color type].
inline std::string png_bytes(uint32_t rows, uint32_t cols, int color_type,
                             const std::vector<uint8_t>& samples, int bit_depth = 8,
                             const std::vector<png_color>& palette = {}) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep from, size_t count) {
        static_cast<std::string*>(png_get_io_ptr(p))
            ->append(reinterpret_cast<const char*>(from), count);
      },
      nullptr);
  png_set_IHDR(png, info, cols, rows, bit_depth, color_type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!palette.empty()) png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  png_write_info(png, info);
  const size_t stride = samples.size() / rows;
  for (size_t r = 0; r < rows; ++r) png_write_row(png, samples.data() + r * stride);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

// 1, 3 or 4 samples a pixel: grey, RGB, CMYK. Quality 100, no chroma subsampling: a few levels off.
inline std::string jpeg_bytes(uint32_t rows, uint32_t cols, int samples_per_pixel,
                              std::vector<uint8_t> samples) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* to = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &to, &size);
  info.image_width = cols;
  info.image_height = rows;
  info.input_components = samples_per_pixel;
  info.in_color_space = samples_per_pixel == 1   ? JCS_GRAYSCALE
                        : samples_per_pixel == 3 ? JCS_RGB
                                                 : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&info, TRUE);
  for (size_t r = 0; r < rows; ++r) {
    JSAMPROW row = samples.data() + r * samples.size() / rows;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<const char*>(to), size);
  std::free(to);
  return bytes;
}

struct ZipMember {
  std::string name, content;
  bool deflated = false;
};
inline void write_zip(const std::string& path, const std::vector<ZipMember>& members) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  for (const ZipMember& member : members) {
    zip_source_t* source =
        zip_source_buffer(archive, member.content.data(), member.content.size(), 0);
    const zip_int64_t at = zip_file_add(archive, member.name.c_str(), source, 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(at),
                             member.deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  ASSERT_EQ(zip_close(archive), 0);
}

// As far as data is concerned: what is read, and how many classes come out.
inline FloatNetwork network_of(std::vector<int64_t> input, int64_t outputs) {
  FloatNetwork network;
  network.name = "net";
  network.tensors = {{.name = "x", .shape = std::move(input)}, {.name = "y", .shape = {outputs}}};
  network.input = 0;
  network.output = 1;
  return network;
}

}  // namespace widthwise
