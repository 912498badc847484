#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace widthwise {

// A labelled set of images of one size, as stored: unsigned bytes [count, channels, rows, cols].
struct ImageSet {
  std::string file;  // path of the images, for messages
  int64_t count = 0, channels = 1, rows = 0, cols = 0;
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;  // [count], 0 or more
  std::string labels_file = {};

  int64_t image_elements() const { return channels * rows * cols; }
};

// Reads <folder>/<subset>-images-idx3-ubyte and <subset>-labels-idx1-ubyte, each also as .gz;
// idx4 images have channels. Subsets of Fashion-MNIST: "t10k" and "train". Throws InputError for
// files that are missing, truncated, too long, of another format, or that do not fit each other.
// Format: http://yann.lecun.com/exdb/mnist/
ImageSet load_idx_set(const std::filesystem::path& folder, const std::string& subset);

}  // namespace widthwise
