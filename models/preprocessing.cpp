#include "models/preprocessing.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "core/error.h"

namespace widthwise {
namespace {

[[noreturn]] void refuse(std::string file, std::string field, std::string problem,
                         std::string fix) {
  throw InputError({.file = std::move(file),
                    .where = "",
                    .field = std::move(field),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

}  // namespace

ImageSize resized_size(ImageSize size, const Preprocessing& preprocessing,
                       const std::string& file) {
  ImageSize result = preprocessing.resize;
  const int64_t shorter = preprocessing.resize_shorter;
  if (shorter == 0 && result.rows == 0) return size;
  if (shorter > 0) {
    if (size.rows < size.cols) {
      result = {.rows = shorter, .cols = shorter * size.cols / size.rows};
    } else {
      result = {.rows = shorter * size.rows / size.cols, .cols = shorter};
    }
  }
  if (result.rows > kMaxPixels / result.cols)
    refuse(file, "size",
           fmt::format("is {} x {} pixels, {} x {} after the resize; allowed up to {} in all",
                       size.cols, size.rows, result.cols, result.rows, kMaxPixels),
           "make input.resize smaller, or remove the image");
  return result;
}

ImageSize prepared_size(ImageSize size, const Preprocessing& preprocessing,
                        const std::string& file) {
  if (preprocessing.center_crop.rows > 0) return preprocessing.center_crop;
  return resized_size(size, preprocessing, file);
}

Image prepare_image(Image image, const Preprocessing& preprocessing, const std::string& file) {
  const ImageSize size =
      resized_size({.rows = image.rows, .cols = image.cols}, preprocessing, file);
  image = resize_image(image, size.rows, size.cols, preprocessing.interpolation);
  const ImageSize& crop = preprocessing.center_crop;
  return crop.rows > 0 ? center_crop(image, crop.rows, crop.cols) : image;
}

void image_values(std::span<const uint8_t> pixels, int64_t channels, ImageSize size,
                  const Preprocessing& preprocessing, std::span<float> values) {
  const auto plane = static_cast<size_t>(size.rows * size.cols);
  if (pixels.size() != values.size() || pixels.size() != plane * static_cast<size_t>(channels))
    throw std::logic_error("image_values: sizes differ");
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    std::array<float, 256> table;
    for (size_t p = 0; p < table.size(); ++p)
      table[p] = preprocessing.value(static_cast<float>(p), c);
    for (size_t i = c * plane; i < (c + 1) * plane; ++i) values[i] = table[pixels[i]];
  }
  apply_affine(preprocessing.affine, channels, size, values);
}

void apply_affine(const FeatureAffine& affine, int64_t channels, ImageSize size,
                  std::span<float> values) {
  if (affine.scale.empty()) return;
  float* value = values.data();
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t h = 0; h < size.rows; ++h) {
      for (int64_t w = 0; w < size.cols; ++w, ++value) {
        const auto i = static_cast<size_t>(affine.axis == 'C' ? c : affine.axis == 'H' ? h : w);
        *value = affine.scale.at(i) * *value + affine.offset.at(i);
      }
    }
  }
}

void preprocess(const ImageSet& images, const Preprocessing& preprocessing, int64_t first,
                int64_t count, std::span<float> values) {
  const ImageSize stored = {.rows = images.rows, .cols = images.cols},
                  size = prepared_size(stored, preprocessing, images.file);
  const int64_t elements = images.channels * size.rows * size.cols;
  if (first < 0 || count < 0 || first + count > images.count ||
      static_cast<int64_t>(values.size()) != count * elements)
    throw std::logic_error("preprocess: images out of range");
  for (int64_t i = 0; i < count; ++i) {
    const auto pixels = std::span(images.pixels)
                            .subspan(static_cast<size_t>((first + i) * images.image_elements()),
                                     static_cast<size_t>(images.image_elements()));
    const auto to =
        values.subspan(static_cast<size_t>(i * elements), static_cast<size_t>(elements));
    if (!preprocessing.changes_size()) {
      image_values(pixels, images.channels, size, preprocessing, to);
      continue;
    }
    const Image image = prepare_image({.channels = images.channels,
                                       .rows = images.rows,
                                       .cols = images.cols,
                                       .pixels = {pixels.begin(), pixels.end()}},
                                      preprocessing, images.file);
    image_values(image.pixels, images.channels, size, preprocessing, to);
  }
}

}  // namespace widthwise
