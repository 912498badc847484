#include "models/image_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "models/graph.h"

namespace widthwise {
namespace {

[[noreturn]] void refuse(const std::string& file, std::string field, std::string problem,
                         std::string fix) {
  throw InputError({.file = file,
                    .where = "",
                    .field = std::move(field),
                    .problem = std::move(problem),
                    .fix = std::move(fix)});
}

// The letters of the axes that an array of this rank has.
std::string stored_axes(const std::string& layout, size_t rank) {
  std::string axes = layout;
  if (rank < 4) axes.erase(axes.find('C'), 1);
  if (rank < 3) axes.erase(axes.size() - 2, 1);
  return axes;
}

}  // namespace

NpyArray load_input_array(const std::string& name, const std::string& layout) {
  NpyArray array = read_array(name);
  const size_t rank = array.shape.size();
  if (rank < 2 || rank > 4)
    refuse(name, "shape",
           shape_text(array.shape) + " has " + std::to_string(rank) + " axes, allowed 2..4",
           "reshape it: the first axis counts the inputs, the others are the input's");
  if (array.bytes.empty())
    refuse(name, "shape", shape_text(array.shape) + " has no element", "give at least one input");
  if (array.dtype[0] == 'f') {
    const std::vector<float> values = float_values(array);
    const auto bad =
        std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
    if (bad != values.end())
      refuse(
          name, "values",
          fmt::format("hold {} at element {}, allowed finite float32", *bad, bad - values.begin()),
          "replace or leave out what is not finite");
  }
  return in_nchw(std::move(array), layout);
}

// Missing axes are put in front of the others with extent 1, then all are brought to NCHW.
NpyArray in_nchw(NpyArray array, const std::string& layout) {
  std::string axes = stored_axes(layout, array.shape.size());
  for (const char letter : {'C', 'H', 'W'}) {
    if (axes.find(letter) != std::string::npos) continue;
    axes.insert(1, 1, letter);
    array.shape.insert(array.shape.begin() + 1, 1);
  }
  if (axes == "NCHW") return array;
  std::vector<size_t> order;
  for (const char letter : {'N', 'C', 'H', 'W'}) order.push_back(axes.find(letter));
  return transposed(array, order);
}

std::vector<int32_t> load_label_array(const std::string& name, int64_t count) {
  const NpyArray array = read_array(name);
  if (array.elements() != count || array.shape.empty() || array.shape[0] != count)
    refuse(name, "shape", fmt::format("is {}, there are {} inputs", shape_text(array.shape), count),
           "give one label per input");
  std::vector<int32_t> labels;
  for (const int64_t label : integer_values(array, name)) {
    if (label < 0 || label > std::numeric_limits<int32_t>::max())
      refuse(name, "labels", fmt::format("hold {}, allowed 0..2^31-1", label),
             "give one class number per input");
    labels.push_back(static_cast<int32_t>(label));
  }
  return labels;
}

ImageSet load_array_set(const std::string& images, const std::string& labels,
                        const std::string& layout) {
  return image_set(load_input_array(images, layout), images, labels);
}

ImageSet image_set(NpyArray array, const std::string& images, const std::string& labels) {
  if (array.dtype != npy_dtype<uint8_t>())
    refuse(images, "dtype", "is " + array.dtype + ", allowed for images is u1",
           "numpy.save(file, array.astype('u1'))");
  const auto pixels = array.values<uint8_t>();
  ImageSet set{.file = images,
               .count = array.shape[0],
               .channels = array.shape[1],
               .rows = array.shape[2],
               .cols = array.shape[3],
               .pixels = {pixels.begin(), pixels.end()},
               .labels = {}};
  if (labels.empty()) return set;
  set.labels = load_label_array(labels, set.count);
  set.labels_file = labels;
  return set;
}

}  // namespace widthwise
