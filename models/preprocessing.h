#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/dataset.h"
#include "models/network.h"

namespace widthwise {

// How images become a network's input; a YAML file beside the network:
//   input: {scale: 0.00392156862745098, mean: [0], std: [1], layout: NCHW}
//   classes: [T-shirt/top, ...]
//   data: fashion-mnist
// Value = (pixel * scale - mean) / std, in float32 at every step.
struct Preprocessing {
  std::string file;
  float scale = 1;
  std::vector<float> mean, std;      // per channel
  std::vector<std::string> classes;  // by label
  std::string data;                  // name of the set that the network was made for
};

// Unknown and missing keys, wrong types and values out of range throw InputError.
Preprocessing load_preprocessing(const std::filesystem::path& path);

// <network>.yaml beside <network>.onnx.
std::filesystem::path preprocessing_path(const std::filesystem::path& network);

// Throws InputError if images, labels, preprocessing and network do not fit each other.
void check_images(const ImageSet& images, const Preprocessing& preprocessing,
                  const FloatNetwork& network);

// Images first .. first + count - 1 as the network's input [count, channels, rows, cols].
void preprocess(const ImageSet& images, const Preprocessing& preprocessing, int64_t first,
                int64_t count, std::span<float> values);

}  // namespace widthwise
