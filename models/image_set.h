#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/npy.h"

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
// `layout`: see load_input_array.
// Format: http://yann.lecun.com/exdb/mnist/
ImageSet load_idx_set(const std::filesystem::path& folder, const std::string& subset,
                      const std::string& layout = "NCHW");

// Reads a .npy or .npz of inputs (read_array's names) as [count, channels, rows, cols]. `layout`
// gives the order of the stored axes: N, then C, H and W in any order, "NHWC"; it is also that of
// arrays of three axes, which have no C, and of two, which have only the last axis but C. Throws
// InputError for other ranks, empty arrays, and values that are not finite.
NpyArray load_input_array(const std::string& name, const std::string& layout);

// Labels of any integer type, [count] or with more axes of extent 1. Throws InputError if they are
// not `count`, or not 0..2^31-1.
std::vector<int32_t> load_label_array(const std::string& name, int64_t count);

// Images of unsigned bytes with their labels; labels may be "" for none. `array` is what
// load_input_array gave for `images`.
ImageSet load_array_set(const std::string& images, const std::string& labels,
                        const std::string& layout);
ImageSet image_set(NpyArray array, const std::string& images, const std::string& labels);

// An array of two to four axes as [count, channels, rows, cols]; see load_input_array.
NpyArray in_nchw(NpyArray array, const std::string& layout);

}  // namespace widthwise
