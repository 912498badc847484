#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/image.h"
#include "models/image_set.h"
#include "models/network.h"

namespace widthwise {

// scale[i] * value + offset[i] for index i on one axis of the input, in float32 with two roundings.
struct FeatureAffine {
  char axis = '\0';  // 'C', 'H' or 'W'
  std::string file;  // .npz of the two, for messages
  std::vector<float> scale, offset;
};

struct ImageSize {
  int64_t rows = 0, cols = 0;  // pixels; 0: not given
};

// How stored inputs become a network's input; a YAML file beside the network:
//   input:
//     layout: NHWC               # axes of a stored array; default NCHW
//     resize: 256                # shorter side, or [rows, cols]; images only; default: none
//     center_crop: 224           # square, or [rows, cols]; after the resize; default: none
//     interpolation: bilinear    # nearest, bilinear, bicubic, as Pillow's; default bilinear
//     zero_point: 0              # default 0
//     scale: 1                   # or divide_by: 255; one of the two must be given
//     mean: [0.5, 0.5, 0.5]      # per channel; default all 0
//     std: [0.5, 0.5, 0.5]       # per channel; default all 1
//     affine: {file: a.npz, scale: A, offset: B, axis: W}   # two arrays of the file; default: none
//   label_offset: 1              # added to every stored label; default 0
//   classes: [T-shirt/top, ...]  # names by label; may be left out
//   data: fashion-mnist          # may be left out
// Value = ((stored - zero_point) * scale - mean) / std, or with "/ divide_by" in place of "*
// scale"; every step is rounded to float32, and / 255 differs from * (1 / 255). Then the affine.
struct Preprocessing {
  std::string file;
  float scale = 1;
  std::vector<float> mean = {}, std = {};  // per channel; empty: 0 and 1
  std::vector<std::string> classes = {};   // by label; empty: not named
  std::string data = {};                   // name of the set that the network was made for
  float zero_point = 0, divide_by = 1;
  std::string layout = "NCHW";
  int64_t resize_shorter = 0;  // pixels, 0: not given
  ImageSize resize = {}, center_crop = {};
  Interpolation interpolation = Interpolation::kBilinear;
  FeatureAffine affine = {};
  int32_t label_offset = 0;

  bool changes_size() const {
    return resize_shorter > 0 || resize.rows > 0 || center_crop.rows > 0;
  }
  float value(float stored, size_t channel) const {  // before the affine
    const float mean_value = mean.empty() ? 0.0f : mean.at(channel);
    const float std_value = std.empty() ? 1.0f : std.at(channel);
    return ((stored - zero_point) * scale / divide_by - mean_value) / std_value;
  }
};

// Unknown keys, missing ones, wrong types and values out of range throw InputError.
Preprocessing load_preprocessing(const std::filesystem::path& path);

// <network>.yaml beside <network>.onnx.
std::filesystem::path preprocessing_path(const std::filesystem::path& network);

// Rows and columns that an image of this size has after the resize and the crop. Throws InputError
// with `file` if the resized image would have more than kMaxPixels.
ImageSize resized_size(ImageSize size, const Preprocessing& preprocessing, const std::string& file);
ImageSize prepared_size(ImageSize size, const Preprocessing& preprocessing,
                        const std::string& file);

// Resize and crop; bytes stay bytes.
Image prepare_image(Image image, const Preprocessing& preprocessing, const std::string& file);

// The input's values [channels, rows, cols] of a prepared image, affine included.
void image_values(std::span<const uint8_t> pixels, int64_t channels, ImageSize size,
                  const Preprocessing& preprocessing, std::span<float> values);
void apply_affine(const FeatureAffine& affine, int64_t channels, ImageSize size,
                  std::span<float> values);

// Throws InputError unless inputs [channels, rows, cols] (after preparation), the labels (offset
// applied) and the preprocessing fit the network. Axes of extent 1 do not count, and a network that
// reads one axis takes any input of as many elements.
void check_inputs(const std::string& file, int64_t channels, ImageSize size,
                  std::span<const int32_t> labels, const Preprocessing& preprocessing,
                  const NetworkEnds& network);

// For an ImageSet, whose labels and axes are taken as they are: no label_offset, no axes swapped.
void check_images(const ImageSet& images, const Preprocessing& preprocessing,
                  const NetworkEnds& network);

// Images first .. first + count - 1 as the network's input [count, channels, rows, cols].
void preprocess(const ImageSet& images, const Preprocessing& preprocessing, int64_t first,
                int64_t count, std::span<float> values);

}  // namespace widthwise
