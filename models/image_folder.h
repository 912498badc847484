#pragma once
#include <filesystem>
#include <memory>

#include "models/dataset.h"

namespace widthwise {

// Images by class, <folder>/<class>/.../<file>.{jpg,jpeg,png} in any case, as torchvision's
// ImageFolder: the label is the class's place among the folders sorted by name, or, where the
// preprocessing names classes, its place there; the images of a class are sorted by folder, then
// by name. Names that start with a dot are left out. Images are decoded when they are read, some
// at a time by TBB's threads, so memory holds only names, labels and the images being decoded.
// Every image must have the network's size after the resize and the crop. Throws InputError for a
// class without images, image files of another kind (.webp, ...), and unknown classes.
std::unique_ptr<DataSet> open_image_folder(const std::filesystem::path& folder,
                                           const Preprocessing& preprocessing,
                                           const NetworkEnds& network);

}  // namespace widthwise
