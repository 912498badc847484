#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/preprocessing.h"

namespace widthwise {

struct ImageListing {
  std::vector<std::string> files;  // paths
  std::vector<int32_t> labels;     // of each file, label_offset applied
};

// The images of a folder by class, not opened; see open_image_folder for the order and the errors.
ImageListing list_images(const std::filesystem::path& folder, const Preprocessing& preprocessing);

}  // namespace widthwise
