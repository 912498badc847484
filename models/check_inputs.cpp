#include <fmt/format.h>

#include "core/error.h"
#include "models/graph.h"
#include "models/preprocessing.h"

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

Shape without_ones(Shape shape) {
  std::erase(shape, 1);
  return shape;
}

void check_per_channel(const Preprocessing& preprocessing, const std::vector<float>& entries,
                       const char* field, int64_t channels) {
  if (!entries.empty() && static_cast<int64_t>(entries.size()) != channels)
    refuse(preprocessing.file, field,
           fmt::format("has {} entries, the images have {} channels", entries.size(), channels),
           "give one entry per channel");
}

}  // namespace

void check_inputs(const std::string& file, int64_t channels, ImageSize size,
                  std::span<const int32_t> labels, const Preprocessing& preprocessing,
                  const NetworkEnds& network) {
  const Shape found = {channels, size.rows, size.cols};
  const Shape& wanted = network.input;
  const Shape axes = without_ones(wanted);
  const bool flat = axes.size() <= 1 && shape_elements(wanted) == shape_elements(found);
  if (!flat && without_ones(found) != axes) {
    refuse(file, "image shape",
           fmt::format("is {}, the network {} reads {}", shape_text(found), network.name,
                       shape_text(wanted)),
           "give the data that the network was made for, or state its input.layout, input.resize "
           "and input.center_crop in " +
               preprocessing.file);
  }
  check_per_channel(preprocessing, preprocessing.mean, "input.mean", channels);
  check_per_channel(preprocessing, preprocessing.std, "input.std", channels);
  const FeatureAffine& affine = preprocessing.affine;
  const int64_t extent = affine.axis == 'C' ? channels : affine.axis == 'H' ? size.rows : size.cols;
  if (!affine.scale.empty() && static_cast<int64_t>(affine.scale.size()) != extent)
    refuse(preprocessing.file, "input.affine",
           fmt::format("has {} entries, axis {} of the inputs {} has {}", affine.scale.size(),
                       affine.axis, shape_text(found), extent),
           "give one entry per index of the axis");
  const int64_t outputs = network.outputs;
  if (!preprocessing.classes.empty() &&
      static_cast<int64_t>(preprocessing.classes.size()) != outputs) {
    refuse(preprocessing.file, "classes",
           fmt::format("has {} entries, the network {} has {} outputs",
                       preprocessing.classes.size(), network.name, outputs),
           "name one class per output");
  }
  for (const int32_t label : labels) {
    if (label < 0 || label >= outputs)
      refuse(file, "labels", fmt::format("hold {}, allowed 0..{}", label, outputs - 1),
             "give the data that the network was made for, or correct label_offset in " +
                 preprocessing.file);
  }
}

void check_images(const ImageSet& images, const Preprocessing& preprocessing,
                  const NetworkEnds& network) {
  if (preprocessing.label_offset != 0)
    refuse(preprocessing.file, "label_offset", "is not 0, the labels are taken as they are here",
           "remove it");
  if (preprocessing.layout != "NCHW" && preprocessing.layout != "NHWC")
    refuse(preprocessing.file, "input.layout", "swaps rows and columns, which is for arrays",
           "remove it");
  const ImageSize size = prepared_size({images.rows, images.cols}, preprocessing, images.file);
  check_inputs(images.file, images.channels, size, images.labels, preprocessing, network);
}

}  // namespace widthwise
